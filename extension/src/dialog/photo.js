// One photo in the dialog, from waiting to a decision.

/** @import {Choice, Decision, FoundFace, Job, PhotoRule, Report, Trouble} from '../common/types.js' */

import { troubleOf } from '../common/errors.js';
import { say, translate, wordsOf } from '../common/i18n.js';
import { isBlob, sleep, tell } from '../common/messages.js';
import { applyRules, needCount } from '../common/photo-rules.js';
import { followSlider } from '../common/slider.js';
import { CloserLook } from '../common/zoom.js';
import { onPress } from './click-guard.js';
import { Countdown, leftInWords, leftOf } from './estimate.js';
import { drawThumb, drawWhole } from './picture.js';
import { clock, countMatches, facesInWords, verdictOf } from './verdict.js';

/** What is asked of the server for a photo: a choice, and the rules of the site, which stand above it.
 * @typedef {{choice: Choice, rules: PhotoRule[]}} Request */
/** `faceless`: it was looked at, and no face was found; `strangers`: none that was to be protected.
 * @typedef {'idle' | 'waiting' | 'working' | 'done' | 'faceless' | 'strangers' | 'failed'} State */

/** Milliseconds between two questions after a photo: the first pause, and the longest. */
const PAUSE = 100, LONGEST_PAUSE = 450;
/** After so many failures in a row, the server counts as gone. */
const FAILURES = 6;
/** Troubles of photos that the server did not even read. */
const UNREAD = ['unsupported_content', 'bad_image'];

/** Photos are sent one after the other, so that the server works on them in their order.
 * @type {Promise<unknown>} */
let sending = Promise.resolve();

/** One photo of the upload. */
export class Photo {
  /** @param {File} file
   * @param {string} ticket
   * @param {() => void} changed called after every change */
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
    /** @type {Report | undefined} */
    this.report = undefined;
    /** The number of the current attempt: results of older ones are dropped. */
    this.attempt = 0;
    this.kind = file.type || 'application/octet-stream';
    /** @type {FoundFace[] | undefined} */
    this.faces = undefined;
    /** @type {Promise<FoundFace[]> | undefined} */
    this.counting = undefined;
    /** The last request, as text. */
    this.request = '';
    this.id = '';
    this.begun = false;
    /** From 0 to 1. */
    this.progress = 0;
    this.countdown = new Countdown();
    /** Seconds until it is done, with the photos before it; undefined while that cannot be said.
     * @type {number | undefined} */
    this.left = undefined;
    /** Whether the whole photo has been drawn. */
    this.drawn = false;
    /** @type {string[]} */
    this.urls = [];
    const template = /** @type {HTMLTemplateElement} */ (document.getElementById('photo'));
    const content = /** @type {DocumentFragment} */ (template.content.cloneNode(true));
    this.view = /** @type {HTMLElement} */ (content.firstElementChild);
    translate(this.view);
    this.$('h2').textContent = file.name;
    this.$('.compare input').setAttribute('aria-label', say('slider', file.name));
    this.$('progress').setAttribute('aria-label', file.name);
    for (const button of this.view.querySelectorAll('.buttons button')) {
      button.ariaLabel = `${button.textContent}: ${file.name}`;
    }
    this.prepare();
    drawThumb(this.$('.thumb'), file);
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
    followSlider(this.$('.compare input'), this.$('.pair'), (value) => say('slider_at', value));
    this.$('.pair').setAttribute('aria-label', say('closer_look', this.file.name));
    this.look = new CloserLook(this.$('.pair'), this.$('.tools'), (number, count) => (
      count > 1 ? say('face_of', number, count) : say('face_only')));
  }

  onAgain() {}

  /** Whether there is nothing to wait for any more. */
  get decided() {
    return this.decision !== '' || this.state === 'done' || this.bare;
  }

  /** Whether there is nothing to protect in it. */
  get bare() {
    return this.state === 'faceless' || this.state === 'strangers';
  }

  get busy() {
    return this.decision === '' && (this.state === 'waiting' || this.state === 'working');
  }

  /** @param {'' | 'skip' | 'original'} decision */
  decide(decision) {
    this.decision = decision;
    if (decision && this.busy) this.stop();
    this.$('.sure').hidden = true;
    this.show();
    this.changed();
  }

  /** Drop the work in progress. */
  stop() {
    this.attempt += 1;
    if (this.id) tell({ type: 'drop', id: this.id }).catch(() => {});
    this.id = '';
    this.state = 'idle';
  }

  /** Whether nobody looked for faces in it. */
  get unread() {
    return this.state === 'failed' && UNREAD.includes(this.trouble?.code ?? '');
  }

  /** @returns {Decision} */
  get answer() {
    const unchanged = this.decision === 'original' || (this.decision === '' && this.bare);
    if (unchanged) return { use: 'original' };
    const done = this.decision === '' && this.state === 'done';
    if (done && this.result) return { use: 'protected', photo: this.result };
    return { use: 'skip' };
  }

  // --- at the server ---------------------------------------------------------------------------------------

  /** Let the server find its faces, once.
   * @returns {Promise<FoundFace[]>} */
  async countFaces() {
    this.counting ??= tell({ type: 'faces', ticket: this.ticket, photo: this.file, kind: this.kind });
    try {
      this.faces = await this.counting;
    } catch (error) {
      this.counting = undefined;
      throw error;
    }
    // What is at the server already says so by itself.
    if (!this.faces?.length && ['idle', 'waiting'].includes(this.state)) this.beFaceless();
    this.changed();
    return this.faces ?? [];
  }

  /** @param {Request} request
   * @param {number} attempt */
  async run({ choice: chosen, rules }, attempt) {
    if (attempt !== this.attempt || this.decision || this.state !== 'waiting') return;
    try {
      const choice = applyRules(rules, chosen, needCount(rules) ? (await this.countFaces()).length : 0);
      const sent = sending.then(() => this.send(choice, attempt));
      sending = sent.catch(() => {});
      const id = await sent;
      if (!id) return;
      const job = await this.follow(attempt);
      if (!job) return;
      if (job.state !== 'done') throw job.error;
      const result = await tell({ type: 'result', id });
      if (attempt === this.attempt) await this.finish(result, job);
    } catch (error) {
      if (attempt !== this.attempt) return;
      const problem = error && typeof error === 'object' && 'code' in error; // of the job, by the server
      const trouble = problem ? /** @type {Trouble} */ (error) : troubleOf(error);
      const code = problem ? trouble.code : '';
      if (code === 'no_face') this.beFaceless();
      else if (code === 'not_mine') this.beBare('strangers', say('strangers'), say('strangers_about'));
      else this.fail(trouble);
    }
  }

  /** @param {Choice} choice
   * @param {number} attempt
   * @returns {Promise<string>} the job's number; empty where the attempt no longer counts */
  async send(choice, attempt) {
    if (attempt !== this.attempt) return '';
    this.since = performance.now();
    [this.begun, this.progress] = [false, 0];
    this.step('working', say('sending'));
    const { ticket, file: photo, kind } = this, key = crypto.randomUUID();
    const id = await tell({ type: 'submit', ticket, key, photo, kind, choice });
    if (attempt === this.attempt) {
      this.id = id;
      return id;
    }
    tell({ type: 'drop', id }).catch(() => {});
    return '';
  }

  /** Ask the server again and again until the job is over.
   * @param {number} attempt
   * @returns {Promise<Job | undefined>} undefined where the attempt no longer counts */
  async follow(attempt) {
    let failures = 0;
    for (let pause = PAUSE; attempt === this.attempt; pause = Math.min(2 * pause, LONGEST_PAUSE)) {
      try {
        /** @type {Job} */
        const job = await tell({ type: 'job', id: this.id });
        failures = 0;
        if (['done', 'failed', 'cancelled'].includes(job.state)) return job;
        if (attempt === this.attempt) this.showProgress(job);
      } catch (error) {
        const { code } = troubleOf(error);
        if (!['down', 'timeout', 'no_worker'].includes(code) || ++failures >= FAILURES) throw error;
      }
      await sleep(pause);
    }
    return undefined;
  }

  /** @param {Job} job */
  showProgress(job) {
    if (job.state === 'queued') return this.step('working', say('queued'));
    if (!this.begun) [this.begun, this.since] = [true, performance.now()]; // without the time in the queue
    this.$('progress').value = this.progress = job.progress;
    const percent = Math.max(0, Math.round(100 * (job.similarity ?? 0)));
    const similarity = job.similarity === null ? '' : say('similarity', percent);
    const stage = job.stage ? say(`stage_${job.stage}`) : '';
    this.step('working', say('working'), [stage, similarity].filter(Boolean).join(' · '));
  }

  /** @param {Blob} given
   * @param {Job} job */
  async finish(given, job) {
    if (!isBlob(given)) throw new Error('no photo');
    // A copy: the background's lies with the normal windows, and a private page would wait for it for ever.
    const { attempt } = this, result = new Blob([await given.arrayBuffer()], { type: given.type });
    if (attempt !== this.attempt) return;
    const report = this.report = /** @type {Report} */ (job.report);
    this.result = result;
    /** Seconds that a face took; 0 where the server had the result already. */
    this.pace = job.cached || !report.faces.length ? 0 : report.seconds / report.faces.length;
    this.urls.push(URL.createObjectURL(this.file), URL.createObjectURL(result));
    [this.$('.before').src, this.$('.after').src] = this.urls.slice(-2);
    this.$('.words').textContent = verdictOf(report, this.faces);
    this.step('done', say('done', this.elapsed()));
    this.changed();
    const image = this.$('.after');
    await image.decode().catch(() => {}); // one that the browser cannot show has no size
    this.look?.open(report.faces.map(({ box }) => box), image.naturalWidth, image.naturalHeight);
  }

  /** No face was found: there is nothing to protect, and the site may get the photo as it is. */
  beFaceless() {
    this.faces ??= [];
    this.beBare('faceless', say('faceless'), say('faceless_about'));
  }

  /** @param {'faceless' | 'strangers'} state
   * @param {string} title
   * @param {string} about */
  beBare(state, title, about) {
    this.stop();
    this.$('.words').textContent = about;
    this.step(state, title);
    this.changed();
  }

  get matches() {
    return countMatches(this.report);
  }

  /** @param {Trouble} trouble */
  fail(trouble) {
    this.trouble = trouble;
    this.$('.problem').textContent = wordsOf(trouble);
    this.step('failed', say(UNREAD.includes(trouble.code) ? 'unread' : 'failed'));
    this.changed();
  }

  // --- display ---------------------------------------------------------------------------------------------

  /** How long its work still takes, without the photos before it.
   * @param {number | undefined} pace seconds that a face usually takes
   * @returns {number | undefined} */
  estimate(pace) {
    const all = JSON.parse(this.request).choice.faces === 'all';
    const usual = pace && pace * (all ? Math.max(1, this.faces?.length ?? 1) : 1);
    const gone = this.begun ? (performance.now() - (this.since ?? 0)) / 1000 : 0;
    return leftOf(usual, gone, this.begun ? this.progress : 0);
  }

  elapsed() {
    return clock(performance.now() - (this.since ?? performance.now()));
  }

  /** Say which faces were found, and what the rules change.
   * @param {Request | undefined} request undefined while the server cannot be asked */
  showPlan(request) {
    const words = this.faces ? facesInWords(this.faces) : [];
    if (request && (this.faces || !needCount(request.rules))) {
      const { choice, rules } = request;
      const { level, faces } = applyRules(rules, choice, this.faces?.length ?? 0);
      const changes = [
        level !== choice.level && say(`short_${level}`), faces !== choice.faces && say(`short_${faces}`),
      ];
      if (changes.some(Boolean)) words.push(say('ruled', changes.filter(Boolean).join(', ')));
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
    const { state, decision } = this, open = decision === '';
    const kind = this.unread ? 'unread' : state;
    this.view.className = `card photo ${decision || kind}${decision === 'skip' ? ' left-out' : ''}`;
    this.$('progress').hidden = !this.busy;
    this.$('.problem').hidden = !open || state !== 'failed';
    this.$('.compare').hidden = !open || state !== 'done';
    this.$('.words').hidden = !open || !(state === 'done' || this.bare);
    this.$('.again').hidden = !open || state !== 'failed' || this.unread;
    this.$('.skip').hidden = !open;
    this.$('.back').hidden = open;
    this.$('.original').hidden = decision === 'original' || this.bare;
    this.showWhole(open && (this.bare || this.unread));
    this.$('.thumb').hidden = open && state === 'done';
    if (!open) this.$('.now').textContent = '';
    this.tick();
  }

  /** Show what was looked at, or what the server could not read.
   * @param {boolean} wanted */
  async showWhole(wanted) {
    const canvas = this.$('.whole-photo');
    canvas.hidden = !wanted;
    if (!wanted || this.drawn) return;
    this.drawn = true;
    canvas.setAttribute('aria-label', this.file.name);
    if (!await drawWhole(canvas, this.file)) canvas.replaceWith(this.noPicture());
  }

  /** Words in the place of a photo that the browser cannot show. */
  noPicture() {
    const words = document.createElement('p');
    words.className = 'whole-photo quiet';
    words.textContent = say('no_picture');
    return words;
  }

  tick() {
    const under = this.state === 'idle' ? say('idle') : this.text ?? '';
    const text = { skip: say('skipped'), original: say('as_original'), '': under }[this.decision];
    const time = this.left === undefined ? this.elapsed() : leftInWords(this.left);
    const timed = this.busy && (this.state === 'working' || this.left !== undefined);
    this.$('.state').textContent = timed ? `${text} · ${time}` : text;
  }
}
