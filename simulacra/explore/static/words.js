// The page's words in English and Chinese. {0}, {1} are filled in.
const WORDS = {
  title: ["{0} · simulacra", "{0} · simulacra"],
  skip: ["Skip to the tools", "跳到工具"],
  opening: ["Opening the model…", "正在打开模型……"],
  picture: ["Picture", "图像"],
  pictureOf: ["The generated picture: {0}", "生成的图像：{0}"],
  tools: ["Tools", "工具"],
  facts: ["{0} · {1} × {2} pixels", "{0} · {1} × {2} 像素"],
  factsShown: ["{0} · {1} × {2} pixels · {3} pictures shown in training", "{0} · {1} × {2} 像素 · 训练时看过 {3} 张"],
  keys: ["Keys", "快捷键"],
  keyson: ["Single keys are on", "启用单键快捷键"],
  close: ["Close", "关闭"],
  random: ["Random", "随机"],
  seed: ["Seed", "种子"],
  undo: ["Undo", "撤销"],
  redo: ["Redo", "重做"],
  link: ["Copy link", "复制链接"],
  save: ["Save", "保存"],
  size: ["Size of the saved picture", "保存的尺寸"],
  history: ["History", "历史"],
  nohistory: ["Every picture that you stop at is kept here.", "你停留过的每张图像都会留在这里。"],
  shaped: ["shaped", "已塑造"],
  written: ["from numbers", "由数值生成"],
  truncation: ["Truncation", "截断"],
  truncationWhat: ["Below 1: nearer to the mean picture, less varied and often cleaner", "小于 1：更接近平均图像，变化更少，通常更干净"],
  label: ["Label", "标签"],
  asData: ["as in the data", "与数据一致"],
  no: ["no", "无"],
  half: ["half", "一半"],
  yes: ["yes", "有"],
  attributes: ["Attributes ({0})", "属性（{0}）"],
  noLabels: ["Labels are off: this model was trained without them.", "标签不可用：此模型训练时没有标签。"],
  noLabelsShort: ["off: trained without labels", "不可用：训练时没有标签"],
  copied: ["The link is copied. It opens this very picture.", "链接已复制，打开即是这张图像。"],
  notCopied: ["The link is in the address bar: copy it from there.", "链接在地址栏中，请从那里复制。"],
  saved: ["Saved. Drop the picture here to go on with it.", "已保存。把它拖回这里即可继续。"],
  restored: ["Restored from the picture.", "已从图像中恢复。"],
  otherModel: ["This came from another model: here the same numbers give another picture.", "它来自另一个模型：同样的数值在这里会得到不同的图像。"],
  badSeed: ["A seed is a whole number from 0 to 4294967295.", "种子是 0 到 4294967295 之间的整数。"],
  drophere: ["Drop a saved picture to go on with it, or a photo to find it in the model", "拖入保存的图像以继续，或拖入照片在模型中寻找它"],
  tabDirections: ["Directions", "方向"],
  tabMix: ["Mix", "混合"],
  tabPhoto: ["Photo", "照片"],
  tabWalk: ["Walk", "漫步"],
  tabNumbers: ["All numbers", "全部数值"],
  tabRuns: ["Runs", "训练"],
  // directions
  directionsIs: ["Each slider changes one thing. Drag it; double-click puts it back.", "每个滑块改变一件事。拖动它；双击复位。"],
  looking: ["Looking for directions…", "正在寻找方向……"],
  noDirections: ["This model has no directions yet. They are ways to change a picture, such as hair or light, each with a slider of its own.", "此模型还没有方向。方向是改变图像的方式，例如头发或光线，每个方向有一个滑块。"],
  discover: ["Find directions", "寻找方向"],
  discovering: ["Looking for directions: {0} %", "正在寻找方向：{0}%"],
  tooLarge: ["The picture's file is larger than {0} MB, which is the limit.", "图片文件超过 {0} MB 的上限。"],
  reset: ["Reset all", "全部复位"],
  more: ["More on {0}", "{0} 的更多选项"],
  frame: ["{0} at {1}", "{0}：{1}"],
  name: ["Name", "名称"],
  rename: ["Rename", "重命名"],
  renamed: ["Renamed. {0}", "已重命名。{0}"],
  keptIn: ["It is kept beside the model: {0}", "保存在模型旁：{0}"],
  keptAside: ["This model came with the program and stays as it is; yours is kept in {0}", "此模型随程序附带，不会被改动；你的保存在 {0}"],
  keptNow: ["“{0}” is now a slider of its own, at 1.", "“{0}”现在是一个单独的滑块，位于 1。"],
  keepTitle: ["Keep this combination", "保存这个组合"],
  keepIs: ["Sliders moved: {0}. What they do together becomes one slider, under a name of yours.", "已移动 {0} 个滑块。它们的共同效果会成为一个由你命名的滑块。"],
  keepNone: ["Nothing to keep yet: move one slider or more first.", "还没有可保存的：请先移动一个或多个滑块。"],
  keepName: ["Name of the new direction", "新方向的名称"],
  keepHint: ["a name, such as sunny", "名称，如：阳光"],
  keep: ["Keep as a direction", "保存为方向"],
  learnTitle: ["Learn from labels", "从标签学习"],
  learnIs: ["The model's data have labels ({0}). A direction is learned for each that can be read from its pictures; those found without labels are looked for anew, and yours stay. It takes a minute or more.", "模型的数据有 {0} 个标签。凡是能从图像中读出的，都会学到一个方向；不用标签找到的会重新寻找，你自己的会保留。需要一分钟或更久。"],
  learnNot: ["Learning is off: {0}", "学习不可用：{0}"],
  learn: ["Learn directions", "学习方向"],
  stage: ["{0}: {1} %", "{0}：{1}%"],
  stageRead: ["Learning to read pictures", "学习识读图像"],
  stageLabel: ["Labelling the model's pictures", "为模型的图像加标签"],
  stageMeasure: ["Measuring what directions do", "测量各方向的效果"],
  learned: ["Learned: {0} directions. {1}", "学到 {0} 个方向。{1}"],
  leftOut: ["Left out, with the reason ({0})", "未采用及原因（{0}）"],
  unreachable: ["The explorer does not answer: is it still running? The terminal says more.", "程序没有响应：它还在运行吗？详情见终端。"],
  refused: ["The explorer answered with the number {0} and no words.", "程序返回了代码 {0}，没有说明。"],
  colon: [": ", "："],
  layersFrom: ["Layers from", "层：从"],
  layersTo: ["to", "到"],
  noLayers: ["Layers are off: this model has one w for all of them.", "层不可用：此模型所有层共用一个 w。"],
  accuracy: ["right in {0} % of unseen pictures", "在未见图像上 {0}% 正确"],
  // numbers
  numbersIs: ["The {0} numbers that the picture is made from.", "生成图像所用的 {0} 个数值。"],
  find: ["Find", "查找"],
  findHint: ["such as 7 or 20-30", "如 7 或 20-30"],
  group: ["z {0} to {1}", "z {0} 到 {1}"],
  noNumbers: ["Numbers are off: this picture was found or mixed, so that it has no z. Press Random, or undo, to have one.", "数值不可用：这张图像是搜索或混合得到的，没有 z。请按“随机”或撤销。"],
  nothingFound: ["There is no such number.", "没有这样的数值。"],
  // mix
  mixIs: ["Two parents, and what lies between them. Choose a child to go on with it.", "两个父本，以及它们之间的图像。选一个继续。"],
  parent: ["Parent {0}", "父本 {0}"],
  useThis: ["Use current", "使用当前图像"],
  between: ["From A to B", "从 A 到 B"],
  childrenOf: ["Children", "子代"],
  others: ["Others", "换一批"],
  child: ["Child {0}", "子代 {0}"],
  share: ["{0} % of B", "{0}% 的 B"],
  byLayer: ["Layer by layer", "逐层"],
  matrixIs: ["Choose for each layer which parent it comes from; each cell shows the picture that this choice makes. Coarse layers come first.", "为每一层选择来自哪个父本；每格显示这样选择得到的图像。前面的层管大体。"],
  layerFrom: ["Layer {0} from {1}", "第 {0} 层来自 {1}"],
  allFromA: ["All from A", "全部来自 A"],
  allFromB: ["All from B", "全部来自 B"],
  swapLayers: ["The other way round", "反过来"],
  oneByOne: ["One by one", "逐一"],
  byLayerIs: ["Above: A, with only this layer from B. Below: with all layers up to this one from B. Coarse layers come first.", "上排：A，仅这一层来自 B。下排：到这一层为止都来自 B。前面的层管大体。"],
  layerOne: ["Layer {0} from B", "第 {0} 层来自 B"],
  layerUpTo: ["Layers 0 to {0} from B", "第 0 到 {0} 层来自 B"],
  noLayerMix: ["Mixing by layer is off: this model has no layers with styles of their own. StyleGAN and StyleGAN2 have.", "逐层混合不可用：此模型的各层没有独立的风格。StyleGAN 和 StyleGAN2 有。"],
  // photo
  photoIs: ["Give a picture, and the model looks for the most similar one that it can make. Then shape it with the sliders. It never leaves this computer.", "给一张照片，模型会寻找它能生成的最相似的图像，然后你可以用滑块塑造它。照片不会离开这台电脑。"],
  choose: ["Choose a picture", "选择图片"],
  orDrop: ["or drop one anywhere on this page", "或把它拖到页面任意处"],
  effort: ["Patience", "耐心"],
  quick: ["quick", "快速"],
  good: ["good", "良好"],
  patient: ["patient", "细致"],
  target: ["Your picture", "你的图片"],
  found: ["The model's", "模型的"],
  again: ["Look again", "再找一次"],
  stop: ["Stop", "停止"],
  progress: ["Step {0} · {1} dB", "第 {0} 步 · {1} dB"],
  looked: ["Found, {0} dB. It is now the picture; undo brings the last one back.", "找到了，{0} dB。它已成为当前图像；撤销可回到上一张。"],
  starting: ["Starting…", "正在开始……"],
  stopped: ["Stopped.", "已停止。"],
  closeness: ["Closeness while looking, in dB; higher is nearer", "寻找过程中的相似度（dB），越高越近"],
  // walk
  walkIs: ["A film that goes from picture to picture and back to the first. Choose two or more of your history.", "一段从一张图像走到下一张、再回到第一张的影片。从历史中选两张或更多。"],
  walkFew: ["The history has fewer than two pictures: press Random a few times.", "历史不足两张：请按几次“随机”。"],
  addRandom: ["Add a random one", "添加随机一张"],
  seconds: ["Seconds from one to the next", "每段秒数"],
  filmSize: ["Size", "尺寸"],
  film: ["Make the film", "制作影片"],
  download: ["Download", "下载"],
  filmOf: ["A film through {0} pictures", "穿过 {0} 张图像的影片"],
  stopOf: ["Stop {0}: {1}", "第 {0} 站：{1}"],
  notIn: ["Not in the film: {0}", "未加入影片：{0}"],
  // runs
  runsIs: ["The same seed at every checkpoint that was kept. Choose one to explore it.", "同一种子在每个检查点的样子。选一个来探索。"],
  noRun: ["Runs are off: a model was opened, not a run. To see one, start: simulacra explore runs/NAME", "训练不可用：打开的是模型而非训练。请用：simulacra explore runs/NAME"],
  images: ["{0} pictures shown", "看过 {0} 张"],
  checkpointOf: ["Checkpoint after {0} pictures", "看过 {0} 张后的检查点"],
  best: ["best", "最佳"],
  scoreCurve: ["Score: {0}, lower is better", "得分：{0}，越低越好"],
  noScores: ["No scores yet. To have some: simulacra choose {0}", "还没有得分。可用：simulacra choose {0}"],
  lossCurve: ["Loss of D and of G", "D 与 G 的损失"],
  previews: ["Previews", "预览"],
  previewAt: ["Previews after {0} pictures", "看过 {0} 张后的预览"],
  training: ["Training now: new previews come by themselves.", "正在训练：新预览会自动出现。"],
  resting: ["Not training at the moment.", "目前没有在训练。"],
  exploring: ["Exploring the checkpoint after {0} pictures.", "正在探索看过 {0} 张后的检查点。"],
  backToBest: ["Back to the model opened", "回到打开的模型"],
  // keys
  keyRandom: ["Random picture", "随机图像"],
  keyTabs: ["Tabs in their order", "按顺序切换标签页"],
  keyArrows: ["Move the slider in focus; Page keys move it far", "移动当前滑块；Page 键移动更多"],
  keyHelp: ["This list", "此列表"],
};

const LANGUAGES = ["en", "zh"];
const stored = () => {
  try {
    return localStorage.getItem("simulacra.language");
  } catch {
    return null; // storage may be forbidden: then the browser's language it is
  }
};

let language = LANGUAGES.includes(stored()) ? stored() : navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";

export const t = (word, ...parts) => WORDS[word][LANGUAGES.indexOf(language)].replace(/\{(\d)\}/g, (_, i) => parts[i]);
export const chinese = () => language === "zh";
export const amount = (number) => number.toLocaleString(language);
export const other = () => (language === "en" ? "中文" : "English");

export function switchLanguage() {
  language = language === "en" ? "zh" : "en";
  try {
    localStorage.setItem("simulacra.language", language);
  } catch {
    // the choice then lasts as long as the page
  }
}

// The words of what stands in index.html.
export function translate() {
  document.documentElement.lang = language === "zh" ? "zh-Hans" : "en";
  for (const node of document.querySelectorAll("[data-t]")) node.textContent = t(node.dataset.t);
  for (const node of document.querySelectorAll("[data-title]")) node.title = t(node.dataset.title);
  for (const node of document.querySelectorAll("[data-label]")) node.setAttribute("aria-label", t(node.dataset.label));
}
