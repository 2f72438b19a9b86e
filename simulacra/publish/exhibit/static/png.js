// Text inside a PNG: the recipe of a picture, as `simulacra.provenance` writes and reads it.
const KEY = "simulacra";
const HEAD = 33; // bytes of a PNG's signature and its first chunk

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let bits = byte;
  for (let k = 0; k < 8; k++) bits = bits & 1 ? (bits >>> 1) ^ 0xedb88320 : bits >>> 1;
  return bits;
});

function checksum(bytes) {
  let sum = 0xffffffff;
  for (const byte of bytes) sum = TABLE[(sum ^ byte) & 255] ^ (sum >>> 8);
  return ~sum >>> 0;
}

const ascii = (text) => Uint8Array.from(text, (letter) => letter.charCodeAt(0));

// The PNG with a record in it; letters beyond ASCII are escaped, as the chunk is Latin-1.
export async function withRecord(png, record) {
  const text = JSON.stringify(record).replace(/[\u0080-\uffff]/g, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`);
  const body = ascii(`tEXt${KEY}\0${text}`);
  const chunk = new Uint8Array(body.length + 8);
  const view = new DataView(chunk.buffer);
  view.setUint32(0, body.length - 4);
  chunk.set(body, 4);
  view.setUint32(body.length + 4, checksum(body));
  const bytes = new Uint8Array(await png.arrayBuffer());
  return new Blob([bytes.subarray(0, HEAD), chunk, bytes.subarray(HEAD)], { type: "image/png" });
}

// The record in a file, or null.
export async function readRecord(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  const view = new DataView(bytes.buffer);
  for (let at = 8; at + 12 <= bytes.length; ) {
    const size = view.getUint32(at);
    const text = new TextDecoder("latin1").decode(bytes.subarray(at + 4, Math.min(at + 8 + size, bytes.length)));
    if (text.startsWith(`tEXt${KEY}\0`)) {
      try {
        return JSON.parse(text.slice(5 + KEY.length));
      } catch {
        return null; // another program's text
      }
    }
    at += size + 12;
  }
  return null;
}
