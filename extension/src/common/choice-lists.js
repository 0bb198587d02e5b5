// The choices of an upload, as lists: the look, the strength, the faces.  The dialog and the settings show the same.

/** @import {Choice} from './types.js' */

import { say } from './i18n.js';
import { $ } from './dom.js';

/** The entry of the list of looks that stands for the user's own words. */
const OWN = '(own)';
/** What people choose with. */
export const CONTROLS = ['look', 'level', 'faces', 'prompt'];

/** @param {string} text */
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** @param {HTMLSelectElement} list
 * @param {string[][]} choices value and words of each
 * @param {string} chosen */
export function fill(list, choices, chosen) {
  list.replaceChildren(...choices.map(([value, text]) => new Option(text, value, false, value === chosen)));
}

/** Fill the lists with what the server has.
 * @param {any} looks what the background answers to `looks`
 * @param {Choice} chosen empty where the server's own default stands */
export function offerChoices({ prompts, levels, enrolled }, { prompt, level, faces }) {
  const looks = Object.entries(prompts.presets).map(([name, text]) => [name, capital(String(text))]);
  looks.push([prompts.auto, say('look_auto')], [prompts.none, say('look_none')], [OWN, say('look_own')]);
  const own = prompt && !looks.some(([name]) => name === prompt);
  fill($('look'), looks, own ? OWN : prompt || prompts.default);
  fill($('level'), levels.levels.map((/** @type {string} */ name) => [name, say(`level_${name}`)]), level || levels.default);
  fill($('faces'), levels.faces.map((/** @type {string} */ name) => [name, say(`faces_${name}`)]), faces || levels.faces[0]);
  // Chosen before and no longer possible, it stays chosen: the server then says what is missing.
  for (const option of $('faces').options) option.disabled = option.value === 'mine' && !enrolled && !option.selected;
  if (own) $('prompt').value = prompt;
  showOwn();
}

/** Show the field for own words where they are wanted. */
export function showOwn() {
  $('own').hidden = $('look').value !== OWN;
}

/** @returns {Choice} */
export function chosen() {
  const look = $('look').value;
  return { prompt: look === OWN ? $('prompt').value.trim() : look, level: $('level').value, faces: $('faces').value };
}
