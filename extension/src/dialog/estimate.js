// How long the work on a photo still takes: seconds from what is known, and in words.

import { say } from '../common/i18n.js';

/** So many photos tell how long a face takes. */
export const PACES = 9;
/** The progress from which the estimate follows this photo alone, and not the photos before. */
const TRUSTED = 0.35;
/** A progress below this says nothing yet. */
const FIRST = 0.03;
/** Seconds in which most of a change of the estimate is shown. */
const CALM = 4;

/** How many seconds a face takes, by the latest photos.
 * @param {number[]} paces seconds a face of each
 * @returns {number | undefined} their median; undefined where there are none */
export function paceOf(paces) {
  if (!paces.length) return undefined;
  const sorted = [...paces].sort((one, other) => one - other), middle = (sorted.length - 1) / 2;
  return (sorted[Math.floor(middle)] + sorted[Math.ceil(middle)]) / 2;
}

/** How many seconds are left.
 * @param {number | undefined} usual seconds that such a photo takes; undefined while none is known
 * @param {number} gone seconds since its work began
 * @param {number} progress of the work, from 0 to 1
 * @returns {number | undefined} undefined while nothing can be said */
export function leftOf(usual, gone, progress) {
  const measured = progress >= FIRST ? gone / progress : undefined;
  if (usual === undefined) return measured === undefined ? undefined : measured - gone;
  // At first a busy machine shows only in the progress, and the progress is rough.
  const share = measured === undefined ? 0 : Math.min(1, progress / TRUSTED);
  return Math.max(0, share * (measured ?? 0) + (1 - share) * usual - gone);
}

/** Counts seconds down, and follows new estimates without a jump. */
export class Countdown {
  /** @type {number | undefined} */
  left = undefined;

  at = 0;

  /** @param {number | undefined} estimate seconds; undefined: forget what was counted
   * @param {number} now seconds of a clock
   * @returns {number | undefined} seconds to show */
  follow(estimate, now) {
    const passed = now - this.at;
    this.at = now;
    if (estimate === undefined || this.left === undefined) this.left = estimate;
    else {
      const counted = Math.max(0, this.left - passed);
      this.left = counted + (estimate - counted) * (1 - Math.exp(-passed / CALM));
    }
    return this.left;
  }
}

/** Seconds in words, no more exact than they are known.
 * @param {number} seconds */
export function leftInWords(seconds) {
  if (seconds < 4) return say('left_moment');
  if (seconds < 20) return say('left_seconds', Math.round(seconds));
  if (seconds < 58) return say('left_seconds', 5 * Math.round(seconds / 5));
  const minutes = Math.ceil(seconds / 60 - 0.1);
  return say(minutes === 1 ? 'left_minute' : 'left_minutes', minutes);
}
