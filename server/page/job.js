// One photo on the page, from choosing it to the download.

import { offerAll, showAll } from './all.js';
import { $, ENDINGS, capital, followSlider, make } from './parts.js';
import { scores, verdict } from './scores.js';
import { ask, paired, read, words } from './server.js';
import { CloserLook } from './zoom.js';

/** So many photos of this page are at the server at a time.  The others wait here: its queue has room for
 * others. */
const AT_SERVER = 8;
/** Milliseconds between two questions after a photo: the first pause, and the longest in the queue and at work. */
const PAUSE = 100, LONGEST_PAUSE = { queued: 1200, running: 400 };
/** A server that fails to answer so many times, so many milliseconds apart, counts as gone. */
const TRIES = 8, BETWEEN_TRIES = 750;
/** The entry in the list of looks that stands for the user's own words. */
export const OWN = '(own)';
const STAGES = {
  '': 'Starting', invert: 'Reading the face', tune: 'Learning the face', choose: 'Choosing a look',
  search: 'Searching for the change', render: 'Drawing the change',
};
/** What is said of photos in which nothing is to be protected: they are no failure. */
const BARE = {
  no_face: {
    state: 'faceless', title: 'No face found',
    about: 'There is nothing to protect: you can use the photo as it is. A small or covered face can be missed, so'
      + ' look at it.',
  },
  not_mine: {
    state: 'strangers', title: 'Your face was not found',
    about: 'None of the faces is yours, so nothing was changed: you can use the photo as it is. If you are in it,'
      + ' protect all faces, or add more photos of yourself.',
  },
};
/** The faces to protect, as a photo's line names them. */
const FACES = { all: '', largest: ', the largest face', mine: ', only my face' };

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const stage = (status) => STAGES[status.stage] ?? status.stage;

/** The similarity that is left: 100 % is a typical pair of one person, 0 % the recognisers' threshold. */
function recognisable(value) {
  return value === null ? '' : `Recognisable: ${Math.round(100 * value)} % (aim: below 0 %)`;
}

/** The photos on the page, those of them that wait here, and the number that is at the server. */
const jobs = new Set(), line = [];
let atServer = 0;
/** The latest upload.  Uploads follow each other, so that the server works on photos in their order. */
let upload = Promise.resolve();

function sendNext() {
  while (atServer < AT_SERVER && line.length) {
    atServer += 1;
    line.shift().run().finally(() => { atServer -= 1; sendNext(); });
  }
}

/** One photo on the page. */
export class Job {
  constructor(file) {
    this.file = file;
    this.urls = [];
    this.view = $('#job').content.cloneNode(true).firstElementChild;
    this.$ = (selector) => $(selector, this.view);
    this.$('h2').textContent = file.name;
    const names = {
      '.cancel': 'Cancel', '.again': 'Try again:', '.remove': 'Remove', progress: 'Progress of',
    };
    for (const [part, name] of Object.entries(names)) this.$(part).ariaLabel = `${name} ${file.name}`;
    this.$('.cancel').addEventListener('click', () => this.cancel());
    this.$('.again').addEventListener('click', () => this.start());
    this.$('.remove').addEventListener('click', () => { this.remove(); $('#photos').focus(); });
    this.showThumb();
    this.prepareSlider();
    jobs.add(this);
    this.showAll();
  }

  /** An address of a photo in memory, until the photo is removed. */
  url(blob) {
    this.urls.push(URL.createObjectURL(blob));
    return this.urls.at(-1);
  }

  showThumb() {
    const thumb = this.$('.thumb');
    thumb.addEventListener('load', () => { thumb.hidden = this.state === 'done'; });
    thumb.src = this.original = this.url(this.file);
  }

  prepareSlider() {
    const slider = this.$('input[type=range]');
    slider.ariaLabel = `Before and after: ${this.file.name}`;
    const photos = this.$('.photos'), keys = 'Arrows move, + and − zoom, 0 shows the whole photo.';
    followSlider(slider, photos, (value) => `${value} % before, ${100 - value} % after`);
    photos.ariaLabel = `Before and after, closer: ${this.file.name}. ${keys}`;
    this.look = new CloserLook(photos, this.$('.tools'), (number, count) => (
      count > 1 ? `Face ${number} of ${count}` : 'Face'));
  }

  // --- from waiting to done ------------------------------------------------

  /** Wait for its turn, with the choices as they are now. */
  start() {
    const look = $('#look').selectedOptions[0], level = $('#level').value, faces = $('#faces').value;
    this.asked = { prompt: look.value === OWN ? $('#prompt').value : look.value, level, faces };
    const style = look.value === OWN ? `“${this.asked.prompt}”` : look.text.split(' (')[0];
    this.$('.asked').textContent = `${style}, ${level}${FACES[faces]}`;
    this.id = '';
    this.result = undefined;
    this.unwanted = this.begun = false;
    this.since = performance.now();
    this.$('.faces').replaceChildren();
    this.$('progress').value = 0;
    this.show('waiting', 'Waiting');
    line.push(this);
    sendNext();
  }

  async run() {
    try {
      await (upload = upload.catch(() => {}).then(() => this.send()));
      const status = await this.follow();
      if (status.state !== 'done') throw status.error;
      await this.finish(status);
    } catch (problem) {
      if (this.unwanted || problem?.code === 'cancelled') this.show('cancelled', 'Cancelled');
      else this.fail(problem);
    }
  }

  async send() {
    if (this.unwanted) throw { code: 'cancelled' };
    this.show('working', 'Sending');
    const headers = { 'Content-Type': this.file.type };
    const path = `/v1/jobs?${new URLSearchParams(this.asked)}`;
    const job = await read('json', path, { method: 'POST', body: this.file, headers });
    this.id = job.id;
    if (this.unwanted) await this.tellUnwanted(); // cancelled or removed while it was being sent
  }

  /**
   * Ask the server again and again until the job is over.  A browser has six connections to one server: six
   * streams of events would leave none for cancelling.
   */
  async follow() {
    let failures = 0;
    for (let pause = PAUSE; ; pause *= 2) {
      try {
        const status = await read('json', `/v1/jobs/${this.id}`);
        failures = 0;
        if (['done', 'failed', 'cancelled'].includes(status.state)) return status;
        this.progress(status);
        pause = Math.min(pause, LONGEST_PAUSE[status.state]);
        await sleep(pause);
      } catch (problem) {
        const title = 'The server no longer knows this photo: try again';
        if (problem.code === 'not_found') throw { ...problem, title };
        if (problem.code !== 'unreachable' || ++failures >= TRIES) throw problem;
        this.show('working', 'No answer, trying again');
        await sleep(BETWEEN_TRIES);
      }
    }
  }

  progress(status) {
    if (this.unwanted) return this.show('working', 'Cancelling');
    if (status.state === 'queued') return this.show('working', 'In the queue');
    if (!this.begun) [this.begun, this.since] = [true, performance.now()]; // without the time in the queue
    this.show('working', 'Working');
    this.$('progress').value = status.progress;
    this.$('.now').textContent = [stage(status), recognisable(status.similarity)].filter(Boolean).join('. ');
    const several = status.faces.length > 1 ? status.faces : [];
    this.$('.faces').replaceChildren(...several.map((face, i) => {
      const percent = Math.round(100 * face.progress);
      const part = face.state === 'working' ? `${stage(face)}, ${percent} %` : capital(face.state);
      return make('li', {}, make('span', {}, `Face ${i + 1}`), make('span', {}, part));
    }));
  }

  async finish(status) {
    const result = await read('blob', `/v1/jobs/${this.id}/result`);
    const after = this.url(result), link = this.$('.download');
    this.$('.before').src = this.original;
    this.$('.after').src = after;
    link.href = after;
    this.result = result;
    this.resultName = `${this.file.name.replace(/\.[^.]*$/, '')}-protected${ENDINGS[result.type] ?? ''}`;
    link.download = this.resultName;
    link.ariaLabel = `Download ${link.download}`;
    const { faces } = status.report;
    this.$('.scores').replaceChildren(...faces.map((face, i) => scores(face, i + 1, faces.length)));
    this.$('.meaning').hidden = !faces.length;
    this.$('.verdict').textContent = verdict(faces);
    this.show('done', status.cached ? 'Protected already' : `Protected in ${this.elapsed()}`);
    this.crops(faces);
  }

  /** Show a small picture of each face beside its table. */
  async crops(faces) {
    const image = this.$('.after');
    await image.decode().catch(() => {}); // a photo that the browser cannot show has none
    if (!image.naturalWidth) return;
    this.look.open(faces.map(({ box }) => box), image.naturalWidth, image.naturalHeight);
    this.view.querySelectorAll('.face-head canvas').forEach((canvas, i) => {
      const [left, top, right, bottom] = faces[i].box, side = Math.max(right - left, bottom - top);
      const [x, y] = [(left + right - side) / 2, (top + bottom - side) / 2];
      canvas.hidden = false;
      canvas.getContext('2d').drawImage(image, x, y, side, side, 0, 0, canvas.width, canvas.height);
    });
  }

  fail(problem) {
    const bare = BARE[problem?.code];
    if (bare) {
      this.$('.verdict').textContent = bare.about;
      return this.show(bare.state, bare.title);
    }
    this.$('.problem').textContent = words(problem);
    this.show('failed', 'Not protected');
  }

  // --- giving up -----------------------------------------------------------

  cancel() {
    this.unwanted = true;
    const place = line.indexOf(this);
    if (place >= 0) {
      line.splice(place, 1);
      this.show('cancelled', 'Cancelled');
    } else {
      this.show('working', 'Cancelling'); // until the server says that it is
      this.tellUnwanted();
    }
  }

  /** Let the server end the job, or drop its result.  The next question shows what it did. */
  async tellUnwanted(options = {}) {
    if (!this.id || !paired()) return;
    await ask(`/v1/jobs/${this.id}`, { method: 'DELETE', ...options }).catch(() => {});
  }

  remove() {
    if (this.busy) this.cancel();
    else this.tellUnwanted();
    this.stopClock();
    jobs.delete(this);
    this.view.remove();
    this.urls.forEach((url) => URL.revokeObjectURL(url));
    this.showAll();
  }

  // --- display -------------------------------------------------------------

  showAll() {
    showAll([...jobs]);
  }

  get busy() {
    return ['waiting', 'working'].includes(this.state);
  }

  /** `state` is waiting, working, done, faceless, strangers, failed or cancelled; `text` is for people. */
  show(state, text) {
    [this.state, this.text] = [state, text];
    const focused = document.activeElement;
    this.view.className = `card job ${state}`;
    this.$('.working').hidden = this.$('.cancel').hidden = !this.busy;
    this.$('.problem').hidden = state !== 'failed';
    this.$('.again').hidden = !['strangers', 'failed', 'cancelled'].includes(state);
    this.$('.remove').hidden = this.busy;
    const bare = ['faceless', 'strangers'].includes(state);
    this.$('.verdict').hidden = state !== 'done' && !bare;
    this.$('.thumb').alt = bare ? this.file.name : '';
    for (const part of ['.pair', '.scores', '.download']) this.$(part).hidden = state !== 'done';
    this.$('.thumb').hidden = state === 'done' || !this.$('.thumb').naturalWidth;
    if (text !== 'Working') this.$('.now').textContent = '';
    if (this.busy) this.startClock();
    else this.announce();
    this.showAll();
    // A button that is hidden loses the focus: give it to another button of the photo.
    const lost = this.view.contains(focused) && !focused.checkVisibility();
    if (lost) this.$('.buttons > :not([hidden])').focus();
  }

  announce() {
    this.stopClock();
    this.$('.state').textContent = this.text;
    if (!jobs.has(this)) return;
    const over = [...jobs].filter((job) => !job.busy).length;
    const count = jobs.size > 1 ? ` ${over} of ${jobs.size} photos are finished.` : '';
    const results = {
      done: 'is protected', cancelled: 'was cancelled', failed: 'is not protected', faceless: 'shows no face',
      strangers: 'does not show your face',
    };
    $('#news').textContent = `${this.file.name} ${results[this.state]}.${count}`;
  }

  elapsed() {
    const seconds = Math.floor((performance.now() - this.since) / 1000);
    return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
  }

  startClock() {
    const tick = () => { this.$('.state').textContent = `${this.text} · ${this.elapsed()}`; };
    tick();
    this.clock ??= setInterval(tick, 500);
  }

  stopClock() {
    clearInterval(this.clock);
    this.clock = undefined;
  }
}

offerAll(() => [...$('#jobs').children].map((view) => [...jobs].find((job) => job.view === view)));
addEventListener('left', () => {
  for (const job of [...jobs]) job.remove();
  $('#news').textContent = '';
});
// Nothing waits for the photos any more: the server can go on with others.
addEventListener('pagehide', () => {
  for (const job of jobs) if (job.busy) job.tellUnwanted({ keepalive: true });
});
