// An image, a sound or a film that the store keeps: itself, with a link to its file. The server sends
// media in a sandbox and by what their bytes are; a type that it would not show is a download here.

import { el } from "../elements.js";
import { bytes } from "../values/format.js";
import { pcmQuery, playerOf } from "../values/media.js";

/**
 * The element that shows or plays a stored medium, or a link to its file.
 * @param {{type: string, bytes: number | null, label: string, digest: string}} media
 */
export function storedMedium(media) {
  const address = `/api/media/${media.digest}${pcmQuery(media.type)}`;
  const name = media.label || nameOf(media.type);
  const kind = playerOf(media.type);
  const place = el("figure", { class: "medium" });
  const player = kind ? element(kind, address, name) : null;
  if (player) {
    // What the browser cannot show, or was deleted since, is still named.
    player.addEventListener("error", () => player.remove());
    place.append(player);
  }
  place.append(
    el(
      "figcaption",
      {},
      el("a", { href: address, download: true }, `Download ${name}`),
      " ",
      el(
        "span",
        { class: "soft" },
        [media.type, media.bytes === null ? "" : bytes(media.bytes)].filter(Boolean).join(", "),
      ),
    ),
  );
  return place;
}

function element(kind, address, name) {
  if (kind === "img")
    return el("img", { src: address, alt: name, class: "picture", loading: "lazy" });
  return el(kind, {
    src: address,
    controls: true,
    preload: "metadata",
    "aria-label": name,
    class: "player",
  });
}

const nameOf = (type) =>
  ({ image: "picture", audio: "sound", video: "film" })[type.split("/")[0]] ?? "file";
