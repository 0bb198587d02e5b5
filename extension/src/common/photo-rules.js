// Rules for kinds of photos: they stand above the choice that is made for an upload.

/** @import {Choice, PhotoRule} from './types.js' */

import { entryOf } from './sites.js';

/** The rules for photos on a host.
 * @param {PhotoRule[]} rules
 * @param {string} host
 * @returns {PhotoRule[]} */
export function rulesFor(rules, host) {
  return rules.filter(({ site }) => !site || entryOf({ [site]: true }, host) === site);
}

/** Whether a rule depends on the number of faces, so that they must be counted first.
 * @param {PhotoRule[]} rules */
export const needCount = (rules) => rules.some(({ least, most }) => least > 0 || most > 0);

/** The choice for one photo after the rules.  Of two rules that fit, the later one wins.
 * @param {PhotoRule[]} rules for its host
 * @param {Choice} choice
 * @param {number} count of its faces
 * @returns {Choice} */
export function applyRules(rules, choice, count) {
  const result = { ...choice };
  for (const { least, most, level, faces } of rules) {
    if (count < least || (most > 0 && count > most)) continue;
    if (level) result.level = level;
    if (faces) result.faces = faces;
  }
  return result;
}

/** Kinds of photos by their least and most faces.  Any other kind is "more than some number".
 * @type {Record<string, number[]>} */
export const KINDS = { any: [0, 0], one: [1, 1], several: [2, 0] };

/** @param {PhotoRule} rule
 * @returns {string} a name of `KINDS`, or `more` */
export function kindOf({ least, most }) {
  return Object.keys(KINDS).find((kind) => String(KINDS[kind]) === String([least, most])) ?? 'more';
}

/** A text that is the same for rules that say the same.
 * @param {PhotoRule} rule */
export function textOf({ site, least, most, level, faces }) {
  return JSON.stringify([site, least, most, level, faces]);
}
