// A tar of files, so that many small ones are one request. Names beyond 100 bytes are in a PAX header before the file.
const BLOCK = 512;

function header(name, size, type) {
  const block = new Uint8Array(BLOCK);
  const text = (value, at) => block.set(new TextEncoder().encode(value).slice(0, 100), at);
  const octal = (value, length, at) => text(`${value.toString(8).padStart(length - 1, "0")}\0`, at);
  text(name, 0);
  octal(0o644, 8, 100);
  octal(0, 8, 108);
  octal(0, 8, 116);
  octal(size, 12, 124);
  octal(0, 12, 136);
  text("        ", 148); // the checksum counts its own field as spaces
  text(type, 156);
  text("ustar\0" + "00", 257);
  octal(block.reduce((sum, byte) => sum + byte, 0), 7, 148);
  return block;
}

const padding = (size) => new Uint8Array((BLOCK - (size % BLOCK)) % BLOCK);

function longName(path) {
  const rest = ` path=${path}\n`;
  const length = (number) => new TextEncoder().encode(`${number}${rest}`).length;
  const bytes = new TextEncoder().encode(`${length(length(0))}${rest}`);
  return [header("pax", bytes.length, "x"), bytes, padding(bytes.length)];
}

// [path, file] pairs as a Blob.
export function tar(files) {
  const parts = files.flatMap(([path, file]) => [...longName(path), header("file", file.size, "0"), file, padding(file.size)]);
  return new Blob([...parts, new Uint8Array(2 * BLOCK)]);
}
