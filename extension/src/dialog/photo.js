// One photo in the dialog: from waiting to a decision.

/** @import {Choice, Face, PhotoRule, Trouble} from '../common/types.js' */

import { say, translate, wordsOf } from '../common/i18n.js';
import { applied, needCount } from '../common/photo-rules.js';
import { isBlob, sleep, tell } from '../common/messages.js';
import { troubleOf } from '../common/errors.js';
import { onPress } from './click-guard.js';

/** What is asked for: a choice, and the rules of the site, which stand above it.
 * @typedef {{choice: Choice, rules: PhotoRule[]}} Asked */
/** @typedef {'idle' | 'waiting' | 'working' | 'done' | 'failed'} State */

/** Milliseconds between two looks at a photo. */
const PAUSE = 450;
/** A server that is silent so often in a row is gone. */
const SILENCES = 6;

/** One photo is sent after the other, so that they are worked on in their order. @type {Promise<unknown>} */
let sending = Promise.resolve();

/** Add up what the recognisers say of all faces.
 * @param {any[]} faces
 * @returns {{before: number, after: number, recognisers: number}} */
function countMatches(faces) {
  const all = faces.flatMap((face) => Object.values(face.recognisers ?? {}));
  const count = (/** @type {string} */ key) => all.filter((one) => one[key]).length;
  return { before: count('matched_before'), after: count('matched_after'), recognisers: all.length };
}

/** One photo of the upload. */
export class Photo {
  /** @param {File} file
   * @param {string} ticket
   * @param {() => void} changed is called after every change */
  constructor(file, ticket, changed) {
    this.file = file;
    this.ticket = ticket;
    this.changed = changed;
    /** @type {State} */
    this.state = 'idle';
    /** @type {'' | 'skip' | 'original'} */
    this.decision = '';
    /** @type {Blob | undefined} */
    this.result = undefined;
    /** @type {any} */
    this.report = undefined;
    /** Which attempt counts: what an older one brings is let go. */
    this.attempt = 0;
    this.kind = file.type || 'application/octet-stream';
    /** @type {Face[] | undefined} */
    this.faces = undefined;
    /** @type {Promise<Face[]> | undefined} */
    this.looking = undefined;
    /** What it was protected with last, an `Asked` as text. */
    this.asked = '';
    this.id = '';
    this.begun = false;
    /** @type {string[]} */
    this.urls = [];
    const template = /** @type {HTMLTemplateElement} */ (document.getElementById('photo'));
    this.view = /** @type {HTMLElement} */ (/** @type {Element} */ (template.content.cloneNode(true).firstChild?.nextSibling));
    translate(this.view);
    this.$('h2').textContent = file.name;
    this.$('.compare input').setAttribute('aria-label', say('slider', file.name));
    this.$('progress').setAttribute('aria-label', file.name);
    for (const button of this.view.querySelectorAll('.buttons button')) button.ariaLabel = `${button.textContent}: ${file.name}`;
    this.prepare();
    this.drawThumb();
    this.show();
  }

  /** @param {string} selector
   * @returns {any} */
  $(selector) {
    return this.view.querySelector(selector);
  }

  prepare() {
    onPress(this.$('.again'), 'click', () => this.onAgain());
    onPress(this.$('.skip'), 'click', () => this.decide('skip'));
    onPress(this.$('.back'), 'click', () => this.decide(''));
    onPress(this.$('.original'), 'click', () => {
      this.$('.sure').hidden = false;
      this.$('.sure').scrollIntoView({ block: 'nearest' });
      this.$('.no').focus();
    });
    onPress(this.$('.yes'), 'click', () => this.decide('original'));
    onPress(this.$('.no'), 'click', () => { this.$('.sure').hidden = true; this.$('.original').focus(); });
    const slider = this.$('.compare input'), pair = this.$('.pair');
    const move = () => {
      pair.style.setProperty('--cut', `${slider.value}%`);
      slider.setAttribute('aria-valuetext', say('slider_at', slider.value));
    };
    const follow = (/** @type {PointerEvent} */ event) => {
      if (!event.buttons) return;
      const { left, width } = pair.getBoundingClientRect();
      slider.value = 100 * (event.clientX - left) / width;
      move();
    };
    slider.addEventListener('input', move);
    for (const kind of ['pointerdown', 'pointermove']) pair.addEventListener(kind, follow);
    pair.addEventListener('dragstart', (/** @type {Event} */ event) => event.preventDefault());
    move();
  }

  onAgain() {}

  async drawThumb() {
    const canvas = this.$('.thumb');
    const bitmap = await createImageBitmap(this.file, { resizeHeight: 160, resizeQuality: 'medium' }).catch(() => undefined);
    if (!bitmap) return;
    const side = Math.min(bitmap.width, bitmap.height);
    const [x, y] = [(bitmap.width - side) / 2, (bitmap.height - side) / 2];
    canvas.getContext('2d').drawImage(bitmap, x, y, side, side, 0, 0, canvas.width, canvas.height);
    bitmap.close();
  }

  /** Whether nothing more has to be waited for. */
  get decided() {
    return this.decision !== '' || this.state === 'done';
  }

  get busy() {
    return this.decision === '' && (this.state === 'waiting' || this.state === 'working');
  }

  /** @param {'' | 'skip' | 'original'} decision */
  decide(decision) {
    this.decision = decision;
    if (decision && this.state !== 'done') this.stop();
    this.$('.sure').hidden = true;
    this.show();
    this.changed();
  }

  /** Forget what is under way. */
  stop() {
    this.attempt += 1;
    if (this.id) tell({ type: 'drop', id: this.id }).catch(() => {});
    this.id = '';
    this.state = 'idle';
  }

  /** What the page is to get.
   * @returns {{use: 'protected', photo: Blob} | {use: 'original'} | {use: 'skip'}} */
  get answer() {
    if (this.decision === 'original') return { use: 'original' };
    if (this.decision === '' && this.state === 'done' && this.result) return { use: 'protected', photo: this.result };
    return { use: 'skip' };
  }

  // --- at the server ---------------------------------------------------------------------------------------

  /** Have its faces found, once.
   * @returns {Promise<Face[]>} */
  async look() {
    this.looking ??= tell({ type: 'faces', ticket: this.ticket, photo: this.file, kind: this.kind });
    try {
      this.faces = await this.looking;
    } catch (error) {
      this.looking = undefined;
      throw error;
    }
    this.changed();
    return this.faces ?? [];
  }

  /** @param {Asked} asked
   * @param {number} attempt */
  async run({ choice: chosen, rules }, attempt) {
    if (attempt !== this.attempt || this.decision) return;
    try {
      const choice = applied(rules, chosen, needCount(rules) ? (await this.look()).length : 0);
      const sent = sending.then(() => this.send(choice, attempt));
      sending = sent.catch(() => {});
      const id = await sent;
      if (!id) return;
      const status = await this.follow(attempt);
      if (!status) return;
      if (status.state !== 'done') throw status.error;
      const result = await tell({ type: 'result', id });
      if (attempt === this.attempt) await this.finish(result, status.report);
    } catch (error) {
      if (attempt !== this.attempt) return;
      const trouble = error && typeof error === 'object' && 'code' in error ? /** @type {Trouble} */ (error) : troubleOf(error);
      this.fail(trouble);
    }
  }

  /** @param {Choice} choice
   * @param {number} attempt
   * @returns {Promise<string>} the job's number; empty where it no longer counts */
  async send(choice, attempt) {
    if (attempt !== this.attempt) return '';
    this.since = performance.now();
    this.step('working', say('sending'));
    const key = crypto.randomUUID();
    const id = await tell({ type: 'submit', ticket: this.ticket, key, photo: this.file, kind: this.kind, choice });
    if (attempt === this.attempt) {
      this.id = id;
      this.begun = false;
      return id;
    }
    tell({ type: 'drop', id }).catch(() => {});
    return '';
  }

  /** Look again and again until it is over.
   * @param {number} attempt
   * @returns {Promise<any>} undefined where it no longer counts */
  async follow(attempt) {
    for (let silences = 0; attempt === this.attempt;) {
      try {
        const status = await tell({ type: 'job', id: this.id });
        silences = 0;
        if (['done', 'failed', 'cancelled'].includes(status.state)) return status;
        if (attempt === this.attempt) this.progress(status);
      } catch (error) {
        const { code } = troubleOf(error);
        if (!['down', 'timeout', 'no_worker'].includes(code) || ++silences >= SILENCES) throw error;
      }
      await sleep(PAUSE);
    }
    return undefined;
  }

  /** @param {any} status */
  progress(status) {
    if (status.state === 'queued') return this.step('working', say('queued'));
    if (!this.begun) [this.begun, this.since] = [true, performance.now()]; // the time in the queue is not its own
    this.$('progress').value = status.progress;
    const similarity = status.similarity === null ? '' : say('similarity', Math.max(0, Math.round(100 * status.similarity)));
    const stage = status.stage ? say(`stage_${status.stage}`) : '';
    this.step('working', say('working'), [stage, similarity].filter(Boolean).join(' · '));
  }

  /** @param {Blob} result
   * @param {any} report */
  async finish(result, report) {
    if (!isBlob(result)) throw new Error('no photo');
    this.result = result;
    this.report = report;
    this.urls.push(URL.createObjectURL(this.file), URL.createObjectURL(result));
    [this.$('.before').src, this.$('.after').src] = this.urls.slice(-2);
    this.$('.words').textContent = this.verdict();
    this.step('done', say('done', this.elapsed()));
    this.changed();
  }

  get matches() {
    return countMatches(this.report?.faces ?? []);
  }

  verdict() {
    const { before, after, recognisers } = this.matches, faces = this.report.faces.length;
    if (!recognisers) return '';
    const done = say(faces === 1 ? 'protected_one' : 'protected_many', faces);
    let now = after ? say('verdict_after', after, recognisers) : say('verdict_none');
    const others = (this.faces?.length ?? 0) - faces;
    if (others > 0) now = [now, say(others === 1 ? 'other_stays' : 'others_stay', others)].join(' ');
    return [`${done}.`, say('verdict_before', before, recognisers), now].join(' ');
  }

  /** @param {Trouble} trouble */
  fail(trouble) {
    this.trouble = trouble;
    this.$('.problem').textContent = wordsOf(trouble);
    this.step('failed', say('failed'));
    this.changed();
  }

  // --- what is seen ----------------------------------------------------------------------------------------

  elapsed() {
    const seconds = Math.floor((performance.now() - (this.since ?? performance.now())) / 1000);
    return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
  }

  /** Say which faces were found, and what the rules do to it.
   * @param {Asked | undefined} asked undefined while nothing can be */
  showPlan(asked) {
    const words = [];
    if (this.faces) words.push(this.faces.length ? say(this.faces.length === 1 ? 'face' : 'faces', this.faces.length) : say('face_none'));
    if (this.faces?.some(({ mine }) => mine !== null)) words.push(say(this.faces.some(({ mine }) => mine) ? 'mine_found' : 'mine_none'));
    if (asked && (this.faces || !needCount(asked.rules))) {
      const { choice, rules } = asked, { level, faces } = applied(rules, choice, this.faces?.length ?? 0);
      const ruled = [level !== choice.level && say(`short_${level}`), faces !== choice.faces && say(`short_${faces}`)].filter(Boolean);
      if (ruled.length) words.push(say('ruled', ruled.join(', ')));
    }
    const text = words.join(' · ');
    if (this.$('.found').textContent !== text) this.$('.found').textContent = text;
  }

  /** @param {State} state
   * @param {string} text
   * @param {string} [now] */
  step(state, text, now = '') {
    this.state = state;
    this.text = text;
    this.$('.now').textContent = now;
    this.show();
  }

  show() {
    const { state, decision } = this;
    this.view.className = `card photo ${decision || state}${decision === 'skip' ? ' left-out' : ''}`;
    this.$('progress').hidden = !this.busy;
    this.$('.problem').hidden = decision !== '' || state !== 'failed';
    this.$('.compare').hidden = this.$('.words').hidden = decision !== '' || state !== 'done';
    this.$('.again').hidden = decision !== '' || state !== 'failed';
    this.$('.skip').hidden = decision !== '';
    this.$('.back').hidden = decision === '';
    this.$('.original').hidden = decision === 'original';
    if (decision) this.$('.now').textContent = '';
    this.tick();
  }

  tick() {
    const under = this.state === 'idle' ? say('idle') : this.text ?? '';
    const text = { skip: say('skipped'), original: say('as_original'), '': under }[this.decision];
    this.$('.state').textContent = this.busy && this.state === 'working' ? `${text} · ${this.elapsed()}` : text;
  }
}
