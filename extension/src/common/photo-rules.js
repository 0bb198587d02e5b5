// Selective sharing: what is done with photos of some kind, whatever is chosen for the upload.

/** @import {Choice, PhotoRule} from './types.js' */

import { entryOf } from './storage.js';

/** The rules that speak of a site.
 * @param {PhotoRule[]} rules
 * @param {string} host
 * @returns {PhotoRule[]} */
export const rulesOf = (rules, host) => rules.filter(({ site }) => !site || entryOf({ [site]: true }, host) === site);

/** Whether the faces of a photo have to be counted before it is known what is done with it.
 * @param {PhotoRule[]} rules */
export const needCount = (rules) => rules.some(({ least, most }) => least > 0 || most > 0);

/** What is done with a photo: what was chosen, and the rules above it; of two that fit, the later one counts.
 * @param {PhotoRule[]} rules of its site
 * @param {Choice} choice
 * @param {number} count of its faces
 * @returns {Choice} */
export function applied(rules, choice, count) {
  const result = { ...choice };
  for (const { least, most, level, faces } of rules) {
    if (count < least || (most > 0 && count > most)) continue;
    if (level) result.level = level;
    if (faces) result.faces = faces;
  }
  return result;
}
