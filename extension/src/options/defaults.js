// The look and the strength that every upload begins with.

import { say } from '../common/i18n.js';
import { store, stored } from '../common/settings.js';
import { tell } from '../common/tell.js';
import { $ } from '../common/parts.js';

/** The entry of the list of looks that stands for the user's own words. */
const OWN = '(own)';

/** @param {string} text */
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** @param {HTMLSelectElement} list
 * @param {string[][]} choices
 * @param {string} chosen */
function fill(list, choices, chosen) {
  list.replaceChildren(...choices.map(([value, text]) => new Option(text, value, false, value === chosen)));
}

/** Show what is chosen.  The server says what may be.
 * @param {boolean} ready whether it does */
export async function showDefaults(ready) {
  const found = ready ? await tell({ type: 'looks' }).catch(() => undefined) : undefined;
  $('defaults').hidden = !found;
  $('offline').hidden = Boolean(found);
  if (!found) return;
  const { prompts, levels } = found, { prompt, level } = await stored('defaults');
  const looks = Object.entries(prompts.presets).map(([name, text]) => [name, capital(String(text))]);
  looks.push([prompts.auto, say('look_auto')], [prompts.none, say('look_none')], [OWN, say('look_own')]);
  const own = prompt && !looks.some(([name]) => name === prompt);
  fill($('look'), looks, own ? OWN : prompt || prompts.default);
  fill($('level'), levels.levels.map((/** @type {string} */ name) => [name, say(`level_${name}`)]), level || levels.default);
  if (own) $('prompt').value = prompt;
  $('own').hidden = !own;
}

async function save() {
  const look = $('look').value;
  $('own').hidden = look !== OWN;
  $('defaults-news').textContent = '';
  const prompt = look === OWN ? $('prompt').value.trim() : look;
  if (!prompt) return $('prompt').focus(); // words are still to come
  await store('defaults', { prompt, level: $('level').value });
  $('defaults-news').textContent = say('saved');
}

for (const id of ['look', 'level', 'prompt']) $(id).addEventListener('change', save);

$('everywhere').addEventListener('click', async () => {
  await store('choices', {});
  $('defaults-news').textContent = say('used_everywhere');
});
