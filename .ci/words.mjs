/** Words that have a letter or a digit: neither bars of tables nor dashes. */
export function wordsOf(text) {
  return text.split(/\s+/).filter((word) => /[\p{L}\p{N}]/u.test(word)).length;
}

/** Words of a document that a reader sees: hidden comments do not count. */
export function wordsOfDocument(text) {
  return wordsOf(text.replaceAll(/<!--[^]*?-->/g, ''));
}
