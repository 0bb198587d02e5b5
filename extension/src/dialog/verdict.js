// The result of a photo in words and numbers.

/** @import {FoundFace, Report} from '../common/types.js' */

import { say } from '../common/i18n.js';

/** Count the recognisers' matches over all faces.
 * @param {Report | undefined} report undefined: nothing was protected
 * @returns {{before: number, after: number, recognisers: number}} */
export function countMatches(report) {
  const verdicts = (report?.faces ?? []).flatMap(({ recognisers }) => Object.values(recognisers));
  return {
    before: verdicts.filter((verdict) => verdict.matched_before).length,
    after: verdicts.filter((verdict) => verdict.matched_after).length,
    recognisers: verdicts.length,
  };
}

/** The verdict on a photo.
 * @param {Report} report
 * @param {FoundFace[] | undefined} found all its faces; undefined while they are not counted
 * @returns {string} empty where no recogniser was asked */
export function verdictOf(report, found) {
  const { before, after, recognisers } = countMatches(report), faces = report.faces.length;
  if (!recognisers) return '';
  const done = say(faces === 1 ? 'protected_one' : 'protected_many', faces);
  let now = after ? say('verdict_after', after, recognisers) : say('verdict_none');
  const others = (found?.length ?? 0) - faces;
  if (others > 0) now = [now, say(others === 1 ? 'other_stays' : 'others_stay', others)].join(' ');
  return [`${done}.`, say('verdict_before', before, recognisers), now].join(' ');
}

/** The faces that were found, in words.
 * @param {FoundFace[]} found
 * @returns {string[]} */
export function facesInWords(found) {
  const words = [found.length ? say(found.length === 1 ? 'face' : 'faces', found.length) : say('face_none')];
  const known = found.some(({ mine }) => mine !== null), mine = found.some((face) => face.mine);
  if (known) words.push(say(mine ? 'mine_found' : 'mine_none'));
  return words;
}

/** @param {number} milliseconds
 * @returns {string} minutes and seconds */
export function clock(milliseconds) {
  const seconds = Math.floor(milliseconds / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}
