// What went wrong, as something that can be thrown.

/** @import {Trouble} from './types.js' */

/** What is thrown for everything that the server or the background refuses. */
export class TroubleError extends Error {
  /** @param {Trouble} trouble */
  constructor(trouble) {
    super(trouble.code);
    this.trouble = trouble;
  }
}

/** @param {unknown} error
 * @returns {Trouble} */
export const troubleOf = (error) => (error instanceof TroubleError ? error.trouble : { code: 'internal', title: String(error) });
