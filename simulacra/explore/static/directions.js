// Names of directions and attributes in the page's language. Names from a person stay; the catalogue has those of the
// package: codes are `directions.` and the English name.
import { has, t } from "./messages.js";
import { state } from "./state.js";

const code = (name) => `directions.${name.replaceAll(" ", "_")}`;

// The translation of a name of the package, or null.
function translated(name) {
  if (has(code(name))) return t(code(name));
  const numbered = /^(.+) (\d+)$/.exec(name);
  if (numbered) {
    const first = translated(numbered[1]);
    return first && `${first} ${numbered[2]}`;
  }
  const [group, value] = name.split(": ");
  return value && has(code(group)) ? t("directions.group", { group: t(code(group)), value: translated(value) ?? value }) : null;
}

// The title of an attribute, a class or a group of them.
export const attributeTitle = (name) => translated(name) ?? name;

// The title of a direction, by its name in recipes.
export function directionTitle(name) {
  const own = state.directions.some((direction) => direction.own && direction.name === name);
  return own ? name : attributeTitle(name);
}

function effectPart(text) {
  const change = /^from (.+) to (.+)$/.exec(text);
  if (change) return t("directions.from_to", { source: attributeTitle(change[1]), target: attributeTitle(change[2]) });
  const amount = /^(.+) ([+-][\d.]+%?)$/.exec(text);
  return amount ? `${directionTitle(amount[1])} ${amount[2].replace("-", "−")}` : attributeTitle(text);
}

// What a direction does, from its English description: "glasses +60%; darker in the middle".
export const effectText = (about) =>
  about.split("; ").map((part) => part.split(", ").map(effectPart).join(t("directions.separator"))).join(t("directions.part_separator"));

// A label as a recipe has it: "glasses, hair: red=0.5".
export const labelText = (label) =>
  label.split(",").map((part) => part.trim().replace(/^[^=]+/, (name) => attributeTitle(name.trim()))).join(t("directions.separator"));
