// The certificate: what the model was made from, its scores, and how exact this page draws it.
import { formatNumber, language, t } from "./messages.js";
import { exhibit } from "./model.js";
import { el } from "./parts.js";

const SHORT = 16; // digits of a hash that is shown

// The sentence on the pictures. "Nothing else" holds only where no other model had a part in it.
function claim({ data, pretrained, teachers }) {
  const hash = data.hash?.slice(0, SHORT);
  if (!hash) return t("exhibit.claim_unknown");
  if (pretrained) return t("exhibit.claim_pretrained", { source: pretrained.source, name: data.name, hash });
  if (teachers.length) return t("exhibit.claim_taught", { teachers: teachers.join(", "), name: data.name, hash });
  if (data.pictures == null) return t("exhibit.claim_without_count", { name: data.name, hash });
  return t("exhibit.claim", { count: formatNumber(data.pictures), name: data.name, hash });
}

function scoreTable({ rows, warnings }) {
  const head = ["exhibit.score", "exhibit.value", "exhibit.interval", "exhibit.meaning"].map((code) => el("th", { scope: "col" }, t(code)));
  const lines = rows.map(({ name, value, interval, better, what }) =>
    el("tr", {}, el("td", {}, name), el("td", {}, value), el("td", {}, interval), el("td", {}, `${what} ${t("exhibit.better", { better })}`)));
  return [
    el("div", { class: "table" }, el("table", {}, el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...lines))),
    ...warnings.map((warning) => el("p", { class: "why" }, warning)),
  ];
}

export function draw(panel) {
  const { certificate: record, facts } = exhibit;
  const [, height, width] = facts.shape;
  const pairs = [
    ["exhibit.gan", record.gan],
    ["exhibit.trained", record.nimg == null ? "–" : t("exhibit.images", { count: formatNumber(record.nimg) })],
    ["exhibit.size", `${width}×${height} px`],
    ["exhibit.model", record.model],
    ["exhibit.data", record.data.hash ? `${record.data.name}, SHA-256 ${record.data.hash}` : "–"],
    ["exhibit.exactness", t(record.half ? "exhibit.exact_half" : "exhibit.exact_whole", { difference: formatNumber(record.difference) })],
    ["exhibit.software", t("exhibit.versions", { simulacra: record.simulacra, runtime: record.runtime })],
  ];
  panel.append(
    el("p", { class: "claim" }, claim(record)),
    el("p", { class: "soft" }, t("exhibit.offline")),
    el("dl", {}, ...pairs.flatMap(([code, text]) => [el("dt", {}, t(code)), el("dd", {}, text)])),
    el("h3", {}, t("exhibit.scores")),
    ...(record.scores ? scoreTable(record.scores[language()]) : [el("p", { class: "why" }, t("exhibit.no_scores"))]),
  );
  return {};
}
