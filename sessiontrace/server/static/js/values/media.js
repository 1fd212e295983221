// Pictures, sounds and files within messages: what is known of one. Pure: no element is made here.

const KINDS = /image|audio|video|document|file|blob|media|uri/i;
const HOLDERS = [
  "image_url",
  "source",
  "image",
  "input_audio",
  "audio",
  "video",
  "document",
  "file",
  "inlineData",
  "inline_data",
  "fileData",
  "file_data",
  "blob",
  "url",
  "uri",
  "data",
  "content",
  "bytes",
];

const UNKNOWN = "application/octet-stream";
const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

/**
 * What a part of a message says of its medium, or null where it has none.
 * @param {any} block
 * @returns {{label: string, type: string, bytes: number | null, digest: string | null,
 *   source: string | null, stored: boolean} | null} source: a data URL or an address
 */
export function mediaOf(block) {
  const names = Object.keys(block).filter((key) => KINDS.test(key));
  if (!KINDS.test(block.type ?? "") && !names.length && !digestOf(block)) return null;
  const digest = digestOf(block);
  const source = digest ? null : sourceOf(block, 0);
  const fileId = firstText(block, ["file_id", "fileId", "id", "filename", "name", "title"]);
  if (!digest && !source && !fileId) return null;
  const known = digest?.media_type === UNKNOWN ? null : digest?.media_type;
  const type = known ?? typeOf(block, 0) ?? digest?.media_type ?? dataType(source) ?? "";
  return {
    label: nameOf(block) ?? (fileId && !digest && !source ? fileId : ""),
    type: type || String(block.type ?? names[0] ?? "file"),
    bytes: digest?.bytes ?? null,
    digest: digest?.sha256 ?? null,
    source,
    stored: digest?.stored === true,
  };
}

const SHOWN = /^image\/(png|jpe?g|gif|webp|avif)$/i;

/**
 * The element that shows a type: "img", "audio" or "video"; null for types that are downloads only,
 * as SVG is, because it may run scripts.
 * @param {string} type
 */
export function playerOf(type) {
  if (SHOWN.test(type)) return "img";
  if (/^audio\//i.test(type)) return "audio";
  return /^video\//i.test(type) ? "video" : null;
}

/**
 * The query with which the server makes raw sound, as models answer with, a file that browsers play.
 * @param {string} type such as "audio/pcm;rate=24000"
 */
export function pcmQuery(type) {
  if (!/^audio\/(pcm|l16)\b/i.test(type)) return "";
  return `?pcm=${type.match(/rate=(\d{4,6})\b/)?.[1] ?? "24000"}`;
}

/** A description that stands for a medium: {media_type, bytes, sha256}. */
export const isDigest = (value) =>
  isObject(value) &&
  typeof value.sha256 === "string" &&
  (typeof value.media_type === "string" || value.stored === true);

function digestOf(block, depth = 0) {
  if (isDigest(block)) return block;
  if (!isObject(block) || depth > 3) return null;
  for (const key of HOLDERS) {
    const inner = digestOf(block[key], depth + 1);
    if (inner) return inner;
  }
  return null;
}

function sourceOf(block, depth) {
  if (typeof block === "string") return /^(data:|https?:)/i.test(block) ? block : null;
  if (!isObject(block) || depth > 3) return null;
  for (const key of [...HOLDERS, "file_uri", "fileUri"]) {
    const inner = sourceOf(block[key], depth + 1);
    if (inner) return inner;
  }
  return null;
}

function typeOf(block, depth) {
  if (!isObject(block) || depth > 3) return null;
  const type = firstText(block, ["media_type", "mimeType", "mime_type"]);
  if (type) return type;
  for (const key of HOLDERS) {
    const inner = typeOf(block[key], depth + 1);
    if (inner) return inner;
  }
  return null;
}

const dataType = (source) => source?.match(/^data:([\w.+-]+\/[\w.+-]+)/)?.[1] ?? null;

const firstText = (block, keys) =>
  keys.map((key) => block[key]).find((value) => typeof value === "string" && value !== "") ?? null;

const nameOf = (block) =>
  [block, ...HOLDERS.map((key) => block[key])]
    .filter(isObject)
    .map((holder) => firstText(holder, ["filename", "file_name", "name", "title", "modality"]))
    .find(Boolean) ?? null;
