// Bringing pictures: dropped folders and files are sent to this machine's studio; a path is only read.
import { formatNumber, t } from "/static/messages.js";
import { byId, el, toast } from "/static/parts.js";
import * as api from "./requests.js";
import { tar } from "./tar.js";

const AT_ONCE = 3; // requests on their way
const SMALL = 4 << 20; // bytes of a file that goes together with others
const TOGETHER = { files: 100, bytes: 16 << 20 }; // of one request

// All files of a dropped folder or file as [path, file].
async function filesOf(entry, path = entry.name) {
  if (entry.isFile) return [[path, await new Promise((resolve, reject) => entry.file(resolve, reject))]];
  const reader = entry.createReader();
  const inner = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject)); // at most a hundred at once
    if (!some.length) break;
    inner.push(...some);
  }
  const lists = [];
  for (const child of inner) if (!child.name.startsWith(".")) lists.push(...(await filesOf(child, `${path}/${child.name}`)));
  return lists;
}

// Lists of files that go in one request.
function bundles(files) {
  const all = [];
  let bytes = Infinity;
  for (const entry of files) {
    const { size } = entry[1];
    if (size > SMALL || bytes + size > TOGETHER.bytes || all.at(-1).length >= TOGETHER.files) {
      all.push([]);
      bytes = 0;
    }
    all.at(-1).push(entry);
    bytes += size > SMALL ? Infinity : size;
  }
  return all;
}

// Sends [path, file] pairs; resolves with the upload's path in the studio's folder.
async function send(files, name, onProgress) {
  const { path: into } = await api.newPictures(name);
  const left = bundles(files);
  let done = 0;
  let failed = null;
  const work = async () => {
    while (left.length && !failed) {
      const bundle = left.shift();
      try {
        if (bundle.length > 1) await api.uploadMany(into, tar(bundle));
        else await api.upload(into, ...bundle[0]);
      } catch (error) {
        failed = error;
      }
      done += bundle.length;
      onProgress(done, files.length);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  if (failed) throw failed;
  return into;
}

// A place to drop pictures on. onSource: called with the source once it has arrived.
export function dropPlace(onSource) {
  const status = el("p", { role: "status", class: "soft" });
  const bar = el("progress", { max: 1, value: 0, hidden: true, "aria-label": t("studio.sending_bar") });
  let busy = false;
  const bring = async (files, name) => {
    if (!files.length || busy) return;
    busy = true;
    bar.hidden = false;
    try {
      const source = await send(files, name, (done, count) => {
        bar.value = done / count;
        status.textContent = t("studio.sending", { done: formatNumber(done), count, number: formatNumber(count) });
      });
      onSource(source);
    } catch (error) {
      toast(error.message);
      status.textContent = error.message;
    } finally {
      busy = false;
      bar.hidden = true;
    }
  };
  const picked = (input) => {
    const files = [...input.files].map((file) => [file.webkitRelativePath || file.name, file]);
    bring(common(files), nameOf(files));
  };
  const files = el("input", { type: "file", multiple: true, class: "unseen", id: "files", accept: "image/*,.zip,.tar,.tgz,.gz", change: () => picked(files) });
  const folder = el("input", { type: "file", webkitdirectory: true, class: "unseen", id: "folder-of-files", change: () => picked(folder) });
  const path = el("input", { id: "source", autocomplete: "off", spellcheck: "false", placeholder: "/home/ann/drawings", "aria-label": t("studio.path") });
  const form = el("form", { class: "row", submit: (event) => {
    event.preventDefault();
    if (path.value.trim()) onSource(path.value.trim());
  } }, path, el("button", {}, t("studio.look")));
  const onDrop = async (event) => {
    event.preventDefault();
    byId("drop").hidden = true;
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
    try {
      const lists = [];
      for (const entry of entries) lists.push(...(await filesOf(entry)));
      await bring(entries.length === 1 && entries[0].isDirectory ? common(lists) : lists, nameOf(lists));
    } catch (error) {
      toast(error.message);
    }
  };
  const onOver = (event) => {
    event.preventDefault();
    byId("drop").hidden = false;
  };
  const onLeave = (event) => {
    if (!event.relatedTarget) byId("drop").hidden = true;
  };
  addEventListener("dragover", onOver);
  addEventListener("dragleave", onLeave);
  addEventListener("drop", onDrop);
  const box = el("section", { class: "dropplace" },
    el("h2", {}, t("studio.bring")), el("p", { class: "soft" }, t("studio.bring_about")),
    el("div", { class: "row" },
      folder, el("label", { class: "button primary", for: "folder-of-files" }, t("studio.choose_folder")),
      files, el("label", { class: "button", for: "files" }, t("studio.choose_files"))),
    el("details", {}, el("summary", {}, t("studio.or_path")), form),
    bar, status);
  return {
    box,
    close: () => {
      removeEventListener("dragover", onOver);
      removeEventListener("dragleave", onLeave);
      removeEventListener("drop", onDrop);
    },
  };
}

const nameOf = (files) => (files[0]?.[0].includes("/") ? files[0][0].split("/")[0] : (files[0]?.[0] ?? "").replace(/\.[^.]*$/, "")) || "pictures";

// Paths without the folder that all of them lie in: it is the upload itself.
const common = (files) => (files.every(([path]) => path.includes("/")) ? files.map(([path, file]) => [path.slice(path.indexOf("/") + 1), file]) : files);
