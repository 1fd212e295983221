// The text of a query: its pieces, the piece at the cursor, and values as a query writes them. The
// server parses queries; nothing here decides what one means.

/**
 * The pieces between spaces outside of quotes.
 * @param {string} text
 * @returns {{text: string, from: number, to: number}[]}
 */
export function pieces(text) {
  const found = [];
  for (const match of text.matchAll(/(?:"(?:[^"\\]|\\.)*"?|[^\s"])+/g))
    found.push({ text: match[0], from: match.index, to: match.index + match[0].length });
  return found;
}

/** The piece that ends or goes on at the cursor; an empty one between pieces. */
export function pieceAt(text, cursor) {
  const piece = pieces(text).find((each) => each.from < cursor && cursor <= each.to);
  return piece ?? { text: "", from: cursor, to: cursor };
}

/**
 * A piece as sign, key, operator and value; without a colon the key is what was typed so far.
 * @param {string} text
 */
export function parts(text) {
  const match = text.match(/^(-?)([A-Za-z_]\w*(?:\.(?:"[^"]*"?|[^\s:"]*))?)(:?)([<>]?=?)(.*)$/s);
  if (!match) return { sign: "", key: "", colon: false, operator: "", value: text };
  return {
    sign: match[1],
    key: match[2],
    colon: match[3] === ":",
    operator: match[4],
    value: match[5],
  };
}

/** A value in quotes, unless it is a plain word. */
export function quoted(value) {
  const plain = /^[^\s",:*\\]+$/.test(value) && !/^[-<>=]/.test(value) && !value.includes("..");
  return plain ? value : `"${value.replace(/[\\"]/g, "\\$&")}"`;
}

/** A filter for one value; a name with signs in it, as in `metadata."my key"`, is quoted. */
export function termOf(key, value) {
  const [field, ...rest] = key.split(".");
  const name = rest.join(".");
  const written = /^[^\s:<>="]*$/.test(name) ? name : `"${name.replaceAll('"', "")}"`;
  return `${name ? `${field}.${written}` : field}:${quoted(value)}`;
}

/** The query with one more term; a term that it has stays, and its exclusion goes. */
export function withTerm(query, term) {
  const others = pieces(query)
    .map((piece) => piece.text)
    .filter((text) => text !== `-${term}`);
  return (others.includes(term) ? others : [...others, term]).join(" ");
}
