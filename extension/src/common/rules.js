// Selective sharing: what is done with photos of some kind, whatever is chosen for the upload.

/** @import {Choice, PhotoRule} from './types.js' */

import { entryOf } from './settings.js';

/** Whether a rule speaks of a photo.
 * @param {PhotoRule} rule
 * @param {string} host
 * @param {number} faces that were found in it
 * @returns {boolean} */
export function fits({ site, least, most }, host, faces) {
  return (!site || entryOf({ [site]: true }, host) === site) && faces >= least && (!most || faces <= most);
}

/** Whether the faces of a photo have to be counted before it is known what is done with it.
 * @param {PhotoRule[]} rules
 * @param {string} host */
export const needCount = (rules, host) => rules.some((rule) => (rule.least > 0 || rule.most > 0) && fits({ ...rule, least: 0, most: 0 }, host, 0));

/** What is done with a photo: what was chosen, and the rules above it; of two that fit, the later one counts.
 * @param {PhotoRule[]} rules
 * @param {Choice} choice
 * @param {string} host
 * @param {number} faces
 * @returns {Choice} */
export function applied(rules, choice, host, faces) {
  const result = { ...choice };
  for (const { level, faces: which } of rules.filter((rule) => fits(rule, host, faces))) {
    if (level) result.level = level;
    if (which) result.faces = which;
  }
  return result;
}
