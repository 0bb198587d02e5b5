// The browser's texts for modules that say something: chrome.i18n.getMessage over the real _locales/.

import { readFileSync } from 'node:fs';

/** Let modules speak a language.
 * @param {'en' | 'de'} locale */
export function speak(locale) {
  const file = new URL(`../_locales/${locale}/messages.json`, import.meta.url);
  const texts = JSON.parse(readFileSync(file, 'utf8'));
  const getMessage = (key, values = []) => (Object.hasOwn(texts, key) ? replaced(texts[key], values) : '');
  globalThis.chrome = { i18n: { getMessage } };
}

function replaced({ message, placeholders = {} }, values) {
  return message.replace(/\$(\w+)\$/g, (_, name) => {
    const { content } = placeholders[name.toLowerCase()];
    return content.replace(/\$(\d)/g, (__, number) => values[number - 1] ?? '');
  });
}
