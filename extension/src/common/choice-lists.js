// The lists from which a user chooses look, strength and faces.  The dialog and the settings show the same
// lists.

/** @import {Choice, Looks} from './types.js' */

import { $ } from './dom.js';
import { say } from './i18n.js';

/** The entry in the list of looks that stands for the user's own words. */
export const OWN = '(own)';
/** The ids of the controls. */
export const CONTROLS = ['look', 'level', 'faces', 'prompt'];

/** @param {string} text */
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** The entries of the lists, each as value and text, and the entry that is chosen in each.
 * @param {Looks} looks
 * @param {Choice} choice
 * @returns {{look: [string, string][], level: [string, string][], faces: [string, string][],
 *   chosen: {look: string, level: string, faces: string}}} */
export function entriesOf({ prompts, levels }, { prompt, level, faces }) {
  /** @type {[string, string][]} */
  const look = Object.entries(prompts.presets).map(([name, text]) => [name, capital(text)]);
  look.push([prompts.auto, say('look_auto')], [prompts.none, say('look_none')], [OWN, say('look_own')]);
  const own = prompt !== '' && !look.some(([name]) => name === prompt);
  return {
    look,
    level: levels.levels.map((name) => [name, say(`level_${name}`)]),
    faces: levels.faces.map((name) => [name, say(`faces_${name}`)]),
    chosen: {
      look: own ? OWN : prompt || prompts.default, level: level || levels.default,
      faces: faces || levels.faces[0],
    },
  };
}

/** @param {HTMLSelectElement} list
 * @param {string[][]} entries value and text of each
 * @param {string} chosen */
export function fill(list, entries, chosen) {
  list.replaceChildren(...entries.map(([value, text]) => new Option(text, value, false, value === chosen)));
}

/** Fill the lists with what the server offers.
 * @param {Looks} looks
 * @param {Choice} choice */
export function offerChoices(looks, choice) {
  const { chosen: values, ...entries } = entriesOf(looks, choice);
  for (const id of /** @type {const} */ (['look', 'level', 'faces'])) fill($(id), entries[id], values[id]);
  // "Only mine" stays if it was chosen before: the server then says what is missing.
  for (const option of $('faces').options) {
    option.disabled = option.value === 'mine' && !looks.enrolled && !option.selected;
  }
  if (values.look === OWN) $('prompt').value = choice.prompt;
  showOwn();
}

/** Show the field for the user's own words only where they are chosen. */
export function showOwn() {
  $('own').hidden = $('look').value !== OWN;
}

/** @returns {Choice} */
export function chosen() {
  const look = $('look').value, prompt = look === OWN ? $('prompt').value.trim() : look;
  return { prompt, level: $('level').value, faces: $('faces').value };
}
