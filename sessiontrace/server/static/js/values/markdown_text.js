// Which texts may be markdown. Pure: no element is made here.

// What markdown gives a meaning: at the begin of a line, or around words.
const BLOCK =
  /^ {0,3}(#{1,6}\s|[-*+]\s|\d{1,9}[.)]\s|>|```|~~~|(?:[-*_]\s*){3,}$|\|.*\||.*\|\s*:?-{2,})/m;
const INLINE = /\*\*\S|__\S|~~\S|`[^`\n]+`|\]\([^)\s]|(^|\W)[*_]\S[^*_\n]*[*_](\W|$)|<https?:/;

/** Whether a text of a chat has anything that markdown would show otherwise. @param {string} text */
export const mayHoldMarkdown = (text) => BLOCK.test(text) || INLINE.test(text);

/** Whether a text of unknown kind is meant as markdown: a page of it rather than a word.
 * @param {string} text */
export const isMarkdown = (text) =>
  text.includes("\n") &&
  (/^(#{1,6} \S|```)/m.test(text) ||
    (/^([-*] |\d+\. )\S/m.test(text) && INLINE.test(text)) ||
    /^\|.*\|\s*\n\|[\s:|-]+\|/m.test(text));

export const TREE_CHARACTERS = 50_000; // the server makes no tree of a longer text
const REQUEST_CHARACTERS = 200_000;
const REQUEST_TEXTS = 200;

/**
 * Texts as the requests that the server takes.
 * @param {Iterable<string>} texts
 * @returns {string[][]}
 */
export function batches(texts) {
  const all = [];
  let batch = [];
  let length = 0;
  for (const text of texts) {
    if (
      batch.length === REQUEST_TEXTS ||
      (batch.length && length + text.length > REQUEST_CHARACTERS)
    ) {
      all.push(batch);
      batch = [];
      length = 0;
    }
    batch.push(text);
    length += text.length;
  }
  if (batch.length) all.push(batch);
  return all;
}
