// Errors that say what went wrong.

/** @import {Trouble} from './types.js' */

/** The server or the background refuses, or does not answer. */
export class TroubleError extends Error {
  /** @param {Trouble} trouble */
  constructor(trouble) {
    super(trouble.code);
    this.trouble = trouble;
  }
}

/** @param {unknown} error
 * @returns {Trouble} */
export function troubleOf(error) {
  return error instanceof TroubleError ? error.trouble : { code: 'internal', title: String(error) };
}
