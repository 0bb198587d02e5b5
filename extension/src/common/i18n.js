// Texts in the user's language.

/** @param {string} key
 * @param {...(string | number)} values
 * @returns {string} the key itself where the text is missing, so that the gap is noticed */
export const say = (key, ...values) => chrome.i18n.getMessage(key, values.map(String)) || key;

/** Put texts into elements with `data-say`, and accessible names into elements with `data-label`.
 * @param {ParentNode} root */
export function translate(root) {
  for (const element of root.querySelectorAll('[data-say]')) {
    element.textContent = say(element.getAttribute('data-say') ?? '');
  }
  for (const element of root.querySelectorAll('[data-label]')) {
    element.setAttribute('aria-label', say(element.getAttribute('data-label') ?? ''));
  }
}

/** What went wrong, in words: our own where we have some, else the server's.
 * @param {import('./types.js').Trouble} trouble
 * @returns {string} */
export function wordsOf(trouble) {
  const own = chrome.i18n.getMessage(`trouble_${trouble.code}`);
  return own || [trouble.title, trouble.detail].filter(Boolean).join(': ');
}
