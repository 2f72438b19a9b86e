// What the server says, in Chinese: its English sentences are the keys. {0}, {1} are what is filled in; a detail that
// only a programmer would read is left out. Loaded when the first one is needed.
import { titled } from "./named.js";

const SENTENCES = [
  // requests
  ["A film goes through 2 to {0} pictures; {1} were given.", "影片需要 2 到 {0} 张图像，给了 {1} 张。"],
  ["This job has made no film, or not yet.", "这个任务没有（或尚未）生成影片。"],
  ["This job has no picture, or not yet.", "这个任务没有（或尚未）生成图像。"],
  ["There is no such job, or it is long over.", "没有这个任务，或它早已结束。"],
  ["There is nothing at {0}.", "{0} 处没有内容。"],
  ["{0} is not done here.", "这里不支持 {0} 请求。"],
  ["The request must be a JSON object.", "请求必须是 JSON 对象。"],
  ["Pictures are asked for by a list of recipes, such as [{\"seed\": 7}].", "请求多张图像需要配方列表，例如 [{\"seed\": 7}]。"],
  ["Give exactly one of recipe and recipes.", "recipe 与 recipes 只能给出其一。"],
  ["{0} is not a whole number.", "{0} 不是整数。"],
  ["{0} must be a whole number from {1} to {2}.", "{0} 必须是 {1} 到 {2} 之间的整数。"],
  ["{0} must be a text that is not empty.", "{0}必须是非空文字。"],
  ["A name", "名称"],
  ["A name is one line of at most {0} letters.", "名称只能有一行，最多 {0} 个字符。"],
  ["seed must be a whole number from 0 to 2^32 - 1.", "种子必须是 0 到 4294967295 之间的整数。"],
  ["The request has more than {0} objects within each other.", "请求的嵌套超过 {0} 层。"],
  ["A text in the request is longer than {0} letters.", "请求中有文字超过 {0} 个字符。"],
  ["The request is not JSON ({0}).", "请求不是有效的 JSON。"],
  ["The request has no {0}.{1}", "请求没有 {0} 这一项。{1}"],
  ["values must be numbers with commas ({0}).", "values 必须是用逗号分隔的数值。"],
  ["This model's pictures have transparency, which JPEG has not: ask for webp or png.", "此模型的图像有透明度，JPEG 不支持：请用 webp 或 png。"],
  ["{0} pictures were asked for; it must be 1 to {1}.", "请求了 {0} 张图像，只能是 1 到 {1} 张。"],
  ["A side of {0} pixels was asked for; it must be {1} to {2}.", "请求的边长为 {0} 像素，只能是 {1} 到 {2}。"],
  ["{0} columns were asked for; it must be 1 to {1}.", "请求了 {0} 列，只能是 1 到 {1} 列。"],
  ["There is no format {0}: there are {1}.", "没有 {0} 格式，可用的有：{1}。"],
  ["A sheet of {0} x {1} pixels is too large: ask for a smaller side.", "{0} × {1} 像素的拼图太大：请用更小的边长。"],
  ["The explorer does not answer to the name {0}: open it by the address that it printed.", "本页面不响应名称 {0}：请用启动时显示的地址打开。"],
  ["Another site's page asked for this: the explorer answers only its own page.", "这是另一个网站的页面发出的请求：只响应自己的页面。"],
  ["The request is larger than {0} kB, which is the limit.", "请求超过 {0} kB 的上限。"],
  ["This is a fault of the program; the terminal says more.", "程序出错了，详情见终端。"],
  // jobs and runs
  ["A {0} is under way: wait for it, or cancel it first.", "{0}正在进行：请等它结束，或先取消。"],
  ["This {0} failed by a fault of the program; the terminal says more.", "{0}因程序出错而失败，详情见终端。"],
  ["search for a photo", "照片搜索"],
  ["search for directions", "方向搜索"],
  ["lesson from labels", "标签学习"],
  ["film", "影片制作"],
  ["A newer request of the same page took this one's place.", "同一页面更新的请求取代了这一个。"],
  ["The explorer is being closed.", "程序正在关闭。"],
  ["{0} requests wait already: try again in a moment.", "已有 {0} 个请求在等待：请稍后再试。"],
  ["This run has no preview after {0} images.", "此训练在 {0} 张之后没有预览。"],
  ["This run has no checkpoint called {0}; it may have been thinned out.", "此训练没有名为 {0} 的检查点，它可能已被清理。"],
  ["A model was opened, not a run: open a run's folder to see its checkpoints.", "打开的是模型而非训练：请打开训练文件夹以查看检查点。"],
  // recipes
  ["There is no direction called {0}.{1}", "没有名为“{0}”的方向。{1}"],
  ["This model has none with that name.", "此模型没有这个名称的方向。"],
  ["Did you mean {0}?", "是不是“{0}”？"],
  ["There are: {0}.", "现有：{0}。"],
  ["There are: {0} and {1} more.", "现有：{0}，另有 {1} 个。"],
  ["None were found yet.", "还没有找到任何方向。"],
  ["This picture starts from w: it has no z.", "这张图像从 w 开始，没有 z。"],
  ["The direction {0} has {1} numbers, and this model's w has {2}: it was found on another model.", "方向“{0}”有 {1} 个数值，而此模型的 w 有 {2} 个：它来自另一个模型。"],
  ["A picture starts from one of seed, z and w: give exactly one.", "图像从种子、z、w 之一开始：只能给出其一。"],
  ["The seed {0} is not a whole number from 0 to 2^32 - 1.", "种子 {0} 不是 0 到 4294967295 之间的整数。"],
  ["This model has no layers with styles of their own, so that nothing can be mixed by layer.", "此模型的各层没有独立的风格，无法逐层混合。"],
  ["Layers {0} to {1} do not exist: this model {2}.", "没有第 {0} 到 {1} 层：此模型{2}。"],
  ["has {0}, from 0", "有 {0} 层，从 0 开始"],
  ["has none", "没有分层"],
  ["w has {0} rows, and this model takes 1{1}.", "w 有 {0} 行，而此模型需要 1 {1}行。"],
  ["or {0}", "或 {0} "],
  ["{0} is {1}; it must be a number from {2} to {3}.", "{0}为 {1}，必须是 {2} 到 {3} 之间的数。"],
  ["number {0} of {1}", "{1} 的第 {0} 个数"],
  ["truncation", "截断"],
  ["A picture's recipe is a JSON object such as {\"seed\": 7}.", "图像配方是 JSON 对象，例如 {\"seed\": 7}。"],
  ["z has no number {0}: they go from 0 to {1}.", "z 没有第 {0} 个数：编号为 0 到 {1}。"],
  ["{0} has {1} numbers, and this model takes {2}.", "{0} 有 {1} 个数，而此模型需要 {2} 个。"],
  ["A picture's recipe has no {0}.{1}", "图像配方没有 {0} 这一项。{1}"],
  ["This is not a picture's recipe: {0}.", "这不是有效的图像配方。"],
  ["There is no {0} called {1}.{2}", "没有名为“{1}”的{0}。{2}"],
  ["class", "类别"],
  ["attribute", "属性"],
  ["This model was trained without labels and cannot be asked for {0}: train one with conditional=true.", "此模型训练时没有标签，无法指定“{0}”：请用 conditional=true 训练一个。"],
  ["{0}: an attribute is a number from 0 to 1, such as {1}=0.5.", "{0}：属性是 0 到 1 之间的数，例如 {1}=0.5。"],
  ["This model has no layers: it can only be truncated as a whole.", "此模型没有分层，只能整体截断。"],
  ["Layers {0} to {1} cannot be truncated: this model has {2}, from 0.", "无法截断第 {0} 到 {1} 层：此模型有 {2} 层，从 0 开始。"],
  ["A walk of {0} pictures is not possible: 2 to {1} are.", "影片不能有 {0} 张图像，只能是 2 到 {1} 张。"],
  ["A walk needs at least two pictures to go between, such as --seeds 1,5,9.", "影片至少需要两张图像。"],
  ["A walk in z goes between seeds or z alone: walk in w between edited pictures.", "z 中的漫步只能在种子或 z 之间进行。"],
  // directions kept
  ["No slider is moved: move some first, then keep what they do together.", "没有移动任何滑块：请先移动，再保存它们的共同效果。"],
  ["These sliders act in different layers, and one direction acts in one range of them: give all the same layers.", "这些滑块作用于不同的层，而一个方向只能作用于一段层：请为它们设定相同的层。"],
  ["These sliders undo each other: together they change nothing.", "这些滑块互相抵消：合在一起没有变化。"],
  ["{0} is no name for a direction: 1 to {1} letters on a line, without =.", "“{0}”不能作为方向的名称：一行 1 到 {1} 个字符，不含 =。"],
  ["There already is a direction called {0}: choose another name.", "已有名为“{0}”的方向：请换一个名称。"],
  ["{0} is not of the format {1}: move it away and find them anew.", "{0} 的格式不是 {1}：请移走它并重新寻找方向。"],
  ["{0} holds directions of another model ({1}, and this is {2}): move it away and find them anew.", "{0} 中是另一个模型的方向：请移走它并重新寻找。"],
  ["{0} is not a file of directions ({1}): move it away and find them anew.", "{0} 不是方向文件：请移走它并重新寻找。"],
  ["{0} is damaged ({1}): move it away and find them anew.", "{0} 已损坏：请移走它并重新寻找。"],
  ["{0} directions cannot be found: ask for 1 to 1000.", "无法寻找 {0} 个方向：只能是 1 到 1000 个。"],
  // labels
  ["{0} has no labels to learn directions from: prepare it with --labels, or leave --labels out.", "{0} 没有可供学习的标签：准备数据时请加 --labels。"],
  ["{0} has {1} pictures: too few to learn what their labels mean.", "{0} 只有 {1} 张图像，不足以学会标签的含义。"],
  ["The data's pictures are {0} and the model's {1}: give its own data.", "数据的图像是 {0}，模型的是 {1}：请用它自己的数据。"],
  ["{0} generated pictures are too few to learn from: take at least 100.", "{0} 张生成图像太少：至少需要 100 张。"],
  ["The pictures that {0} was trained on are not known or not there ({1}): name them with --data.", "训练 {0} 所用的图像不明或已不在原处（{1}）。可在命令行指定：simulacra directions --data。"],
  ["{0} holds pictures of {1} and {2} makes {3}: prepare them with --size {4}x{5} and the same --channels, and name them with --data.", "{0} 中的图像是 {1}，而 {2} 生成 {3}：请用 --size {4}x{5} 和相同的 --channels 准备数据，并用 --data 指定。"],
  ["There is no data set at {0}. Make one: simulacra prepare PICTURES {1}", "{0} 处没有数据集。可以制作：simulacra prepare 图片 {1}"],
  ["{0} is not a whole data set: delete it and prepare it again.", "{0} 不是完整的数据集：请删除并重新准备。"],
  ["{0} holds no prepared data set. If it holds pictures, prepare them first: simulacra prepare {1}", "{0} 中没有准备好的数据集。如果里面是图片，请先准备：simulacra prepare {1}"],
  ["{0} has format {1}, not {2}: prepare it again.", "{0} 的格式是 {1} 而非 {2}：请重新准备。"],
  ["{0} is damaged (its files do not fit data.json): prepare it again.", "{0} 已损坏：请重新准备。"],
  ["{0} has changed since then: prepare it again.", "{0} 之后有改动：请重新准备。"],
  ["{0} has no part {1}; its parts are {2}.", "{0} 没有 {1} 部分，只有 {2}。"],
  ["The part {0} of {1} is empty: prepare it with a larger one.", "{1} 的 {0} 部分是空的：请重新准备并加大它。"],
  ["too few held-out pictures have it, or have it not", "留出的图像中，有它或没有它的太少"],
  ["the reader is right on only {0} of held-out pictures", "在留出的图像上只有 {0} 读得正确"],
  ["{0} of generated pictures have it", "生成的图像中有 {0} 具有它"],
  ["w says little of it: the linear model is right on only {0}", "w 与它关系不大：线性模型只有 {0} 正确"],
  ["the same direction as {0}", "与“{0}”是同一方向"],
  ["moving that way brings it to few pictures ({0})", "沿此方向移动，很少有图像因此具有它（{0}）"],
  ["moving that way brings {0} rather", "沿此方向移动，出现的是“{0}”"],
  // photos
  ["The picture cannot be used: {0}.", "无法使用这张图片：{0}。"],
  ["too large for the memory", "内存容纳不下"],
  ["empty file", "文件是空的"],
  ["HEIC: install simulacra[heif] to read it", "HEIC 格式：安装 simulacra[heif] 后可读"],
  ["damaged", "已损坏"],
  ["not a picture inside", "里面不是图片"],
  ["more than {0} million pixels", "超过 {0} 百万像素"],
  ["smaller than {0} pixels", "小于 {0} 像素"],
  ["its numbers are not brightnesses", "其中的数值不是亮度"],
  ["a decompression bomb", "解压炸弹"],
  ["cut off", "不完整"],
  ["The picture holds numbers that are none (NaN or infinity).", "图片中有无效的数值。"],
  ["The picture is {0} (channels, height, width) and this model's are {1}: prepare it with as_seen.", "图片为 {0}，而此模型为 {1}。"],
  ["{0} steps are not possible: 1 to {1} are.", "不能搜索 {0} 步：只能是 1 到 {1} 步。"],
  ["{0} starts are not possible: 1 to {1} are.", "不能有 {0} 个起点：只能是 1 到 {1} 个。"],
  // translations
  ["{0} is damaged (its domains do not fit data.json): prepare it again.", "{0} 已损坏（两类图片与 data.json 不符）：请重新准备。"],
  ["There is no domain called {0}.{1}", "没有名为“{0}”的一类图片。{1}"],
  ["Which way? This model translates to a ({0}) and to b ({1}): say --to a or --to b.", "往哪个方向？此模型可译为 a（{0}）或 b（{1}）。"],
  ["There are a ({0}) and b ({1}).", "有 a（{0}）和 b（{1}）。"],
  ["There is no {0} to show: there are {1}.", "没有 {0} 可显示，可用的有：{1}。"],
  ["keep_size must be 0 or 1.", "keep_size 只能是 0 或 1。"],
  ["{0} is a pair of domains and {1} draws pictures of one: name {2}/a or {3}/b with --data.", "{0} 含两类图片，而 {1} 只生成一类：请用 --data 指定 {2}/a 或 {3}/b。"],
  ["{0} is one domain and {1} translates between two: name a pair with --data.", "{0} 只有一类图片，而 {1} 在两类之间翻译：请用 --data 指定一对。"],
  ["The data of this model hold one kind of pictures, not two.", "此模型的数据只有一类图片，而不是两类。"],
  ["The data of this model have no part with pictures of both domains.", "此模型的数据中没有同时含两类图片的部分。"],
  ["There is no example {0} of {1}.", "没有 {1} 的示例 {0}。"],
  ["This model draws pictures and translates none: one that does is trained on two domains of pictures, with --gan cyclegan.", "此模型生成图像而不翻译：能翻译的模型用两类图片训练，加 --gan cyclegan。"],
  ["This model translates between {0} and {1}: it draws no pictures from seeds or latents. Give it pictures: simulacra translate MODEL IN OUT --to b.", "此模型在 {0} 与 {1} 之间翻译，不由种子或潜在数值生成图像。请给它图片：simulacra translate MODEL IN OUT --to b。"],
  ["This picture would be translated at {0} x {1} pixels; on this page {2} million are the limit. The command takes larger ones: simulacra translate.", "这张图片将以 {0} × {1} 像素翻译，本页面的上限为 {2} 百万像素。更大的请用命令：simulacra translate。"],
  ["too long and thin to be enlarged", "过于细长，无法放大"],
  // models and files
  ["{0} is neither a run nor a model: a model's folder holds G.safetensors and config.json.", "{0} 既不是训练也不是模型：模型文件夹应有 G.safetensors 和 config.json。"],
  ["The run {0} has no checkpoint yet; train it on: simulacra train {1}", "训练 {0} 还没有检查点，请继续训练：simulacra train {1}"],
  ["{0} does not exist: give a run's folder, a model's folder, or {1}, the model that comes along.", "{0} 不存在：请给出训练或模型的文件夹，或自带的模型 {1}。"],
  ["{0} is not of the format {1}.", "{0} 的格式不是 {1}。"],
  ["{0} is damaged: it does not say which generator this is.", "{0} 已损坏：没有说明是哪种生成器。"],
  ["{0} is damaged or of another model ({1}).", "{0} 已损坏，或属于另一个模型。"],
  ["{0} is missing.", "缺少 {0}。"],
  ["{0} is not readable JSON ({1}).", "{0} 不是可读的 JSON。"],
  ["The disk is full: {0} could not be written. Free some room and try again.", "磁盘已满，无法写入 {0}。请腾出空间后再试。"],
  ["{0} may not be written: check its permissions.", "没有权限写入 {0}：请检查权限。"],
  ["{0} cannot be written: a file stands where a folder is needed.", "无法写入 {0}：需要文件夹的地方有一个文件。"],
  ["{0} cannot be written here ({1}): choose another place.", "无法在此写入 {0}：请换一个位置。"],
];

const literal = (text) => text.replace(/[.*+?^$()|[\]\\{}]/g, "\\$&");
const plain = (text) => text.replace(/\{\d\}/g, "");

// The more a sentence says by itself, the sooner it is tried: "There is no direction called …" before "There is no … called …".
const PATTERNS = SENTENCES.map(([english, told]) => {
  const order = [];
  const parts = english.split(/\{(\d)\}/).map((part, i) => (i % 2 ? (order.push(Number(part)), "(.*?)") : literal(part)));
  return { pattern: new RegExp(`^${parts.join("")}$`, "s"), order, told, length: plain(english).length };
}).sort((one, other) => other.length - one.length);

const unquoted = (text) => text.replace(/^(['"])(.*)\1$/s, "$2");

// A sentence of the server in Chinese; what is filled in may be one of them, too. Itself where it is none of them.
export function inChinese(sentence) {
  const text = sentence.trim();
  for (const { pattern, order, told } of PATTERNS) {
    const found = pattern.exec(text);
    if (!found) continue;
    const filled = Object.fromEntries(order.map((place, i) => [place, titled(unquoted(inChinese(found[i + 1])))]));
    return told.replace(/\{(\d)\}/g, (_, place) => filled[place]);
  }
  const detailed = /^(.+?) \((.*)\)$/s.exec(text); // "damaged (…)": the detail is a programmer's
  const first = detailed && inChinese(detailed[1]);
  return first && first !== detailed[1] ? first : text;
}
