// Words in the user's language.

/** @param {string} key
 * @param {...(string | number)} values
 * @returns {string} the key itself where there are no such words, so that it is seen */
export const say = (key, ...values) => chrome.i18n.getMessage(key, values.map(String)) || key;

/** Put words into elements with `data-say` and, for their accessible name, `data-label`.
 * @param {ParentNode} root */
export function translate(root) {
  for (const element of root.querySelectorAll('[data-say]')) {
    element.textContent = say(element.getAttribute('data-say') ?? '');
  }
  for (const element of root.querySelectorAll('[data-label]')) {
    element.setAttribute('aria-label', say(element.getAttribute('data-label') ?? ''));
  }
}

/** Words for what went wrong: ours where we have some, else the server's.
 * @param {import('./types.js').Trouble} trouble
 * @returns {string} */
export function wordsOf(trouble) {
  return chrome.i18n.getMessage(`trouble_${trouble.code}`) || [trouble.title, trouble.detail].filter(Boolean).join(': ');
}
