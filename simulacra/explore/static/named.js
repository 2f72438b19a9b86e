// What directions and attributes are called. Names that a person gave stay; words of ours, and those of the built-in
// people, are told in the page's language.
import { state } from "./state.js";
import { chinese } from "./words.js";

const WORDS = {
  // what a direction does: see latent/effects.py
  brighter: "更亮", darker: "更暗", "more contrast": "对比更强", "less contrast": "对比更弱", warmer: "更暖", bluer: "更蓝", greener: "更绿", pinker: "更粉",
  "more colourful": "更鲜艳", greyer: "更灰", larger: "更大", smaller: "更小", "further right": "更靠右", "further left": "更靠左", lower: "更低", higher: "更高",
  "brighter at the top": "上部更亮", "darker at the top": "上部更暗", "brighter in the middle": "中部更亮", "darker in the middle": "中部更暗",
  "brighter at the bottom": "下部更亮", "darker at the bottom": "下部更暗", "brighter at the left": "左侧更亮", "brighter at the right": "右侧更亮",
  "another shape": "形状不同", "at the top": "上部", "in the middle": "中部", "at the bottom": "下部", "at the left": "左侧", "at the right": "右侧",
  // the built-in people
  glasses: "眼镜", beard: "胡须", smile: "微笑", "long hair": "长发", bald: "光头", "hair length": "头发长度", "hair colour": "发色", "skin tone": "肤色",
  style: "发型", hair: "头发", face: "表情", skin: "皮肤", clothes: "衣服", background: "背景",
  afro: "爆炸头", bob: "波波头", bun: "发髻", "flat top": "平顶", flip: "外翘", fringe: "刘海", locs: "脏辫", "low bun": "低发髻", mohawk: "莫霍克", pompadour: "蓬帕杜",
  ponytail: "马尾", quiff: "飞机头", shaved: "剃短", "short bob": "短波波头", "side part": "侧分", straight: "直发", tousled: "蓬乱", twists: "扭辫", waves: "波浪",
  black: "黑色", blond: "金色", brown: "棕色", gray: "灰色", red: "红色", blue: "蓝色", green: "绿色", purple: "紫色", white: "白色", yellow: "黄色",
  angry: "生气", awe: "惊叹", content: "满足", grin: "咧嘴笑", sad: "悲伤", serious: "严肃", talking: "说话",
  chin: "下巴", full: "络腮", goatee: "山羊胡", long: "长", moustache: "八字胡", aviator: "飞行员", round: "圆框", sunglasses: "墨镜",
  dark: "深色", light: "浅色", pale: "苍白", tan: "小麦色", lilac: "丁香紫", mint: "薄荷绿", rose: "玫瑰红", sand: "沙色", sky: "天蓝",
};

// A word of ours, or null.
function known(text) {
  if (Object.hasOwn(WORDS, text)) return WORDS[text];
  const numbered = /^(.+) (\d+)$/.exec(text);
  const first = numbered && known(numbered[1]);
  if (first) return `${first} ${numbered[2]}`;
  const placed = /^(another shape|mostly) (.+)$/.exec(text);
  if (placed && Object.hasOwn(WORDS, placed[2])) return placed[1] === "mostly" ? `主要在${WORDS[placed[2]]}` : `${WORDS[placed[2]]}形状不同`;
  const pair = /^(.+): (.+)$/.exec(text);
  return pair && Object.hasOwn(WORDS, pair[1]) ? `${WORDS[pair[1]]}：${WORDS[pair[2]] ?? pair[2]}` : null;
}

// An attribute, a class, a group of them.
export const worded = (text) => (chinese() && known(text)) || text;

// A direction, by its name in recipes.
export function titled(name) {
  const own = state.directions.some((direction) => direction.own && direction.name === name);
  return own ? name : worded(name);
}

function part(text) {
  const way = /^from (.+) to (.+)$/.exec(text);
  if (way) return `从${worded(way[1])}到${worded(way[2])}`;
  const amount = /^(.+) ([+-][\d.]+%?)$/.exec(text);
  return amount ? `${titled(amount[1])} ${amount[2].replace("-", "−")}` : worded(text);
}

// What a direction does, as `Effect.words` tells it: "glasses +60%; darker in the middle".
export const told = (about) => (chinese() ? about.split("; ").map((some) => some.split(", ").map(part).join("，")).join("；") : about);

// A label as it is asked for: "glasses, hair: red=0.5".
export const labelled = (label) =>
  chinese() ? label.split(",").map((each) => each.trim().replace(/^[^=]+/, (name) => worded(name.trim()))).join("，") : label;
