// The tabs of the page, in their order.
import { state, translates } from "./state.js";

// available: whether the model can do it. offCode: the note for a model that cannot; without one, the tab says it itself.
const latent = { available: () => !translates(), offCode: "page.tab_off_translator" };
const LATENT = [
  { name: "gallery", title: "page.tab_gallery", ...latent },
  { name: "directions", title: "page.tab_directions", ...latent },
  { name: "mix", title: "page.tab_mix", ...latent },
  { name: "photo", title: "page.tab_photo", ...latent },
  { name: "walk", title: "page.tab_walk", ...latent },
  { name: "live", title: "page.tab_live", ...latent },
  { name: "numbers", title: "page.tab_numbers", ...latent },
];
const RUNS = { name: "runs", title: "page.tab_runs", available: () => state.facts?.run };
const TRANSLATE = { name: "translate", title: "page.tab_translate", available: translates, offCode: "page.tab_off_generator" };
export const tabs = () => (translates() ? [TRANSLATE, RUNS, ...LATENT] : [...LATENT, RUNS, TRANSLATE]);
