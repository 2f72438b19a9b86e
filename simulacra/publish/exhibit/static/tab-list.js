// The tabs of an exhibit, in their order.
import { state } from "./state.js";

const always = () => true;
const TABS = [
  { name: "gallery", title: "page.tab_gallery", available: always },
  { name: "directions", title: "page.tab_directions", available: () => state.facts?.directions > 0, offCode: "exhibit.no_directions" },
  { name: "mix", title: "page.tab_mix", available: always },
  { name: "walk", title: "page.tab_walk", available: always },
  { name: "live", title: "page.tab_live", available: always },
  { name: "numbers", title: "page.tab_numbers", available: always },
  { name: "nearest", title: "exhibit.tab_nearest", available: () => state.facts?.nearest > 0, offCode: "exhibit.no_nearest" },
  { name: "certificate", title: "exhibit.tab_certificate", available: always },
];
export const tabs = () => TABS;
