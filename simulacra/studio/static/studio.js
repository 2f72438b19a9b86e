// The entry point: which view the address asks for. A view is drawn into #view and may return {close}.
import { otherLanguage, switchLanguage, t, translatePage } from "/static/messages.js";
import { byId, toast } from "/static/parts.js";

const VIEWS = { "": "library", new: "bring", data: "data", run: "training", compare: "compare" };

let open = null;
let version = 0; // of the newest view

// "#run/runs/faces" -> ["run", "runs/faces"]
function place() {
  const [view, ...rest] = location.hash.slice(1).split("/");
  return [view in VIEWS ? view : "", rest.map(decodeURIComponent).join("/")];
}

async function show() {
  const mine = ++version;
  const [view, subject] = place();
  const { draw } = await import(`./${VIEWS[view]}.js`);
  if (mine !== version) return; // another view was chosen meanwhile
  open?.close?.();
  const box = byId("view");
  box.replaceChildren();
  box.className = VIEWS[view];
  document.title = t("studio.title");
  open = null; // while the new one is drawn
  const drawn = await draw(box, subject);
  if (mine === version) open = drawn ?? null;
  else drawn?.close?.();
}

function drawTexts() {
  translatePage();
  const { name, tag } = otherLanguage();
  Object.assign(byId("language"), { textContent: name, lang: tag });
}

byId("language").addEventListener("click", async () => {
  try {
    await switchLanguage();
  } catch {
    toast(t("page.unreachable"));
    return;
  }
  drawTexts();
  show();
});
addEventListener("hashchange", () => {
  show();
  byId("view").focus({ preventScroll: true });
  scrollTo(0, 0);
});

drawTexts();
show();
