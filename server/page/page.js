// The server's own page: pair, choose photos, watch, compare, download.  It talks to nobody but its server, and
// tells the server no file name.

const KEY = 'clip2protect-token';
/** Types of photos, and how the results' names end. */
const ENDINGS = { 'image/jpeg': '.jpg', 'image/png': '.png', 'image/webp': '.webp' };
/** Photos of this page that are at the server at a time; the others wait here, so that its queue has room for others. */
const AT_SERVER = 8;
/** Milliseconds between two looks at a photo, one that waits and one that is worked on. */
const PAUSE = { queued: 1200, running: 400 };
/** A server that does not answer so many times in a row, so many milliseconds apart, is gone. */
const TRIES = 8, BETWEEN_TRIES = 750;
/** The choice in the list of looks that stands for the user's own words: no preset has such a name. */
const OWN = '(own)';
const STAGES = {
  '': 'Starting', invert: 'Reading the face', tune: 'Learning the face', choose: 'Choosing a look',
  search: 'Searching for the change', render: 'Drawing the change',
};
const LEVELS = {
  subtle: 'Subtle: least to see, protects less', balanced: 'Balanced', strong: 'Strong: protects more, more to see',
};

/** What a photo's line says of the faces that are protected. */
const FACES = { all: '', largest: ', the largest face', mine: ', only my face' };
/** Problems that are one photo's own: after any other the next photo has it too. */
const OF_ONE_PHOTO = ['no_face', 'bad_image', 'too_large', 'worker_failed', 'out_of_memory', 'timeout'];

const $ = (selector, root = document) => root.querySelector(selector);
const make = (kind, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(kind), properties);
  element.append(...children);
  return element;
};
const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
const day = (seconds) => new Date(1000 * seconds).toLocaleString([], { dateStyle: 'medium', timeStyle: 'short' });
/** A line of a list: what it is, more about it, and what can be done with it. */
const entry = (what, more, button) => make('li', {}, make('div', {}, what, make('small', { textContent: more })), button);
const isPhoto = (file) => file.type in ENDINGS;

// --- the server ----------------------------------------------------------------------------------

const GONE = { code: 'unreachable', title: 'The server does not answer: start it again, then try again' };

/** A request with the token.  Throws {code, title, detail} for an answer that is a problem. */
async function ask(path, options = {}) {
  const headers = { 'X-Clip2Protect': '1', ...options.headers };
  const token = localStorage.getItem(KEY);
  if (token) headers.Authorization = `Bearer ${token}`;
  const response = await fetch(path, { ...options, headers }).catch(() => { throw GONE; });
  if (response.ok) return response;
  const problem = await response.json().catch(() => ({ code: 'internal', title: `The server answered ${response.status}` }));
  // Only the token that was refused is forgotten: there may be a newer one by now.
  if (problem.code === 'unpaired' && token === localStorage.getItem(KEY)) {
    localStorage.removeItem(KEY);
    askForCode(token ? words(problem) : '');
  }
  throw problem;
}

/** What a request is answered with, read to its end; an answer that breaks off is none. */
async function read(kind, path, options) {
  const response = await ask(path, options);
  return response[kind]().catch(() => { throw GONE; });
}

/** A problem as a sentence or two. */
const words = (problem) => [problem.title ?? String(problem), problem.detail].filter(Boolean).join(': ');

/** Do something, and say in a place of the page what went wrong. */
async function attempt(place, action) {
  $(place).textContent = '';
  await action().catch((problem) => { $(place).textContent = words(problem); });
}

// --- pairing -------------------------------------------------------------------------------------

function askForCode(why = '') {
  $('#work').hidden = true;
  $('#pairing').hidden = false;
  $('#pairing-problem').textContent = why;
  $('#code').focus();
}

async function pair(code) {
  const body = JSON.stringify({ code, name: 'Web page' });
  const { token } = await read('json', '/v1/pair', { method: 'POST', body, headers: { 'Content-Type': 'application/json' } });
  localStorage.setItem(KEY, token);
}

$('#pairing').addEventListener('submit', async (event) => {
  event.preventDefault();
  const button = $('#pairing button');
  button.disabled = true; // a code works once: a second press would be told that it is wrong
  try {
    await pair($('#code').value);
    await begin();
    $('#code').value = '';
    $('#look').focus();
  } catch (problem) {
    askForCode(words(problem));
  } finally {
    button.disabled = false;
  }
});

/** Show what a paired browser may do. */
async function begin() {
  const [prompts, levels] = await Promise.all([read('json', '/v1/prompts'), read('json', '/v1/levels')]);
  const looks = Object.entries(prompts.presets).map(([name, text]) => [name, capital(text)]);
  looks.push([prompts.auto, 'Choose for me (takes longer)'], [prompts.none, 'No makeup'], [OWN, 'My own words…']);
  fill($('#look'), looks, prompts.default);
  fill($('#level'), levels.levels.map((name) => [name, LEVELS[name] ?? capital(name)]), levels.default);
  $('#look').dispatchEvent(new Event('change'));
  await attempt('#owner-problem', showOwner);
  $('#pairing').hidden = true;
  $('#work').hidden = false;
}

/** Fill a list of choices; what was chosen before stays so. */
function fill(list, choices, standard) {
  const chosen = list.value || standard;
  list.replaceChildren(...choices.map(([value, text]) => new Option(text, value, value === standard, value === chosen)));
}

$('#look').addEventListener('change', () => { $('#own').hidden = $('#look').value !== OWN; });

// --- who is paired -------------------------------------------------------------------------------

async function showClients() {
  const { clients, you } = await read('json', '/v1/clients');
  $('#clients').replaceChildren(...clients.map((client) => row(client, client.id === you)));
}

function row({ id, name, origin, paired, used }, own) {
  const what = (name || 'No name') + (own ? ' (this browser)' : '');
  const from = origin ? `${origin}, ` : '';
  const revoke = make('button', { type: 'button', textContent: 'Revoke', ariaLabel: `Revoke ${what}, paired ${day(paired)}` });
  revoke.addEventListener('click', () => attempt('#clients-problem', async () => {
    await ask(`/v1/clients/${id}`, { method: 'DELETE' });
    if (own) return leave();
    await showClients();
    $('#paired summary').focus();
  }));
  return entry(what, `${from}paired ${day(paired)}, last used ${day(used)}`, revoke);
}

/** This browser is no longer paired: the next one to sit here sees nothing. */
function leave() {
  localStorage.removeItem(KEY);
  for (const job of [...jobs]) job.remove();
  for (const place of ['#news', '#owner-news', '#owner-problem']) $(place).textContent = '';
  $('#owner').open = $('#paired').open = false;
  askForCode();
}

$('#paired').addEventListener('toggle', () => $('#paired').open && attempt('#clients-problem', showClients));
$('#unpair').addEventListener('click', () => attempt('#clients-problem', async () => {
  const { you } = await read('json', '/v1/clients');
  await ask(`/v1/clients/${you}`, { method: 'DELETE' });
  leave();
}));

// --- the user's own face -------------------------------------------------------------------------

async function showOwner() {
  const { photos } = await read('json', '/v1/owner');
  $('#owner-photos').replaceChildren(...photos.map(ownerRow));
  const mine = $('#faces [value=mine]');
  mine.disabled = !photos.length;
  $('#faces-hint').hidden = !mine.disabled;
  if (mine.disabled && mine.selected) {
    $('#faces').value = 'all';
    $('#owner-news').textContent = 'No photo of you is left: all faces are protected from now on.';
  }
}

function ownerRow({ id, added }, i) {
  const what = `Photo ${i + 1}`;
  const remove = make('button', { type: 'button', textContent: 'Remove', ariaLabel: `Remove ${what}, added ${day(added)}` });
  remove.addEventListener('click', () => attempt('#owner-problem', async () => {
    $('#owner-news').textContent = '';
    await ask(`/v1/owner/${id}`, { method: 'DELETE' });
    await showOwner();
    $('#owner summary').focus();
  }));
  return entry(what, `added ${day(added)}`, remove);
}

/** Have the server learn the face from photos, one after the other, and say what came of each. */
async function learn(files) {
  const problems = [];
  let learnt = 0;
  for (const [i, file] of files.entries()) {
    $('#owner-news').textContent = `Looking at ${file.name}, ${i + 1} of ${files.length}`;
    try {
      if (!isPhoto(file)) throw { code: 'bad_image', title: 'Only JPEG, PNG and WebP photos can be used' };
      await read('json', '/v1/owner', { method: 'POST', body: file, headers: { 'Content-Type': file.type } });
      learnt += 1;
      await showOwner();
    } catch (problem) {
      if (problem.code === 'unpaired') { // whoever sits here now is not told
        $('#owner-news').textContent = '';
        return;
      }
      // The title of this one speaks of protecting; its detail says what photo is wanted.
      problems.push(`${file.name}: ${problem.code === 'no_face' ? problem.detail : words(problem)}`);
      if (!OF_ONE_PHOTO.includes(problem.code)) break;
    }
  }
  $('#owner-news').textContent = `${learnt} of ${files.length} ${files.length === 1 ? 'photo was' : 'photos were'} added.`;
  $('#owner-problem').textContent = problems.join('\n');
}

/** What is learnt from: one lot follows the other. */
let learning = Promise.resolve();

$('#owner').addEventListener('toggle', () => $('#owner').open && attempt('#owner-problem', showOwner));
$('#owner-add').addEventListener('click', () => $('#owner-files').click());
$('#owner-files').addEventListener('change', ({ target }) => {
  const files = [...target.files];
  target.value = '';
  learning = learning.then(() => attempt('#owner-problem', () => learn(files)));
});

// --- photos come in ------------------------------------------------------------------------------

// Anywhere in the window: a photo dropped beside the frame would replace the page.
for (const kind of ['dragenter', 'dragover']) addEventListener(kind, (event) => hover(event, true));
for (const kind of ['dragleave', 'drop']) addEventListener(kind, (event) => hover(event, false));
addEventListener('drop', (event) => take(event.dataTransfer?.files));
addEventListener('paste', (event) => take(event.clipboardData?.files));
$('#photos').addEventListener('change', ({ target }) => {
  take([...target.files]);
  target.value = ''; // so that the same photo can be chosen again
});

function hover(event, over) {
  event.preventDefault();
  $('#drop').classList.toggle('over', over);
}

function take(files) {
  if ($('#work').hidden || !files?.length) return;
  const refused = [...files].filter((file) => !isPhoto(file));
  $('#refused').textContent = refused.length
    ? `Not taken: ${refused.map((file) => file.name).join(', ')}. Only JPEG, PNG and WebP photos can be protected.` : '';
  const taken = [...files].filter(isPhoto).map((file) => new Job(file));
  $('#jobs').prepend(...taken.map((job) => job.view)); // the latest are on top, each lot in its order
  for (const job of taken) job.start();
}

/** Photos on the page; those of them that wait here for their turn, and how many are at the server. */
const jobs = new Set(), line = [];
let atServer = 0;
/** The upload that began last: one follows the other, so that photos are worked on in their order. */
let upload = Promise.resolve();

function sendNext() {
  while (atServer < AT_SERVER && line.length) {
    atServer += 1;
    line.shift().run().finally(() => { atServer -= 1; sendNext(); });
  }
}

/** One photo on the page. */
class Job {
  constructor(file) {
    this.file = file;
    this.urls = [];
    this.view = $('#job').content.cloneNode(true).firstElementChild;
    this.$ = (selector) => $(selector, this.view);
    this.$('h2').textContent = file.name;
    for (const [part, name] of [['.cancel', 'Cancel'], ['.again', 'Try again:'], ['.remove', 'Remove'], ['progress', 'Progress of']]) {
      this.$(part).ariaLabel = `${name} ${file.name}`;
    }
    this.$('.cancel').addEventListener('click', () => this.cancel());
    this.$('.again').addEventListener('click', () => this.start());
    this.$('.remove').addEventListener('click', () => { this.remove(); $('#photos').focus(); });
    this.showThumb();
    this.prepareSlider();
    jobs.add(this);
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
    const slider = this.$('input[type=range]'), photos = this.$('.photos');
    const show = () => {
      photos.style.setProperty('--cut', `${slider.value}%`);
      slider.setAttribute('aria-valuetext', `${slider.value} % before, ${100 - slider.value} % after`);
    };
    const follow = (event) => {
      if (!event.buttons) return;
      const { left, width } = photos.getBoundingClientRect();
      slider.value = 100 * (event.clientX - left) / width;
      show();
    };
    slider.ariaLabel = `Before and after: ${this.file.name}`;
    slider.addEventListener('input', show);
    for (const kind of ['pointerdown', 'pointermove']) photos.addEventListener(kind, follow);
    photos.addEventListener('dragstart', (event) => event.preventDefault());
    show();
  }

  // --- from waiting to done ------------------------------------------------

  /** Wait for its turn, with the choices as they are now. */
  start() {
    const look = $('#look').selectedOptions[0], level = $('#level').value, faces = $('#faces').value;
    this.asked = { prompt: look.value === OWN ? $('#prompt').value : look.value, level, faces };
    const style = look.value === OWN ? `“${this.asked.prompt}”` : look.text.split(' (')[0];
    this.$('.asked').textContent = `${style}, ${level}${FACES[faces]}`;
    this.id = '';
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
    const sent = await read('json', `/v1/jobs?${new URLSearchParams(this.asked)}`, { method: 'POST', body: this.file, headers });
    this.id = sent.id;
    if (this.unwanted) await this.tellUnwanted(); // cancelled, or removed, before it had a number
  }

  /**
   * Look again and again until the job is over.  A browser has six connections to one server: as many streams of
   * events would leave none to cancel with.
   */
  async follow() {
    for (let failures = 0; ;) {
      try {
        const status = await read('json', `/v1/jobs/${this.id}`);
        failures = 0;
        if (['done', 'failed', 'cancelled'].includes(status.state)) return status;
        this.progress(status);
        await sleep(PAUSE[status.state]);
      } catch (problem) {
        if (problem.code === 'not_found') throw { ...problem, title: 'The server no longer knows this photo: try again' };
        if (problem.code !== 'unreachable' || ++failures >= TRIES) throw problem;
        this.show('working', 'No answer, trying again');
        await sleep(BETWEEN_TRIES);
      }
    }
  }

  progress(status) {
    if (this.unwanted) return this.show('working', 'Cancelling');
    if (status.state === 'queued') return this.show('working', 'In the queue');
    if (!this.begun) [this.begun, this.since] = [true, performance.now()]; // the time in the queue is not its own
    this.show('working', 'Working');
    this.$('progress').value = status.progress;
    this.$('.now').textContent = [stage(status), recognisable(status.similarity)].filter(Boolean).join('. ');
    const several = status.faces.length > 1 ? status.faces : [];
    this.$('.faces').replaceChildren(...several.map((face, i) => {
      const part = face.state === 'working' ? `${stage(face)}, ${Math.round(100 * face.progress)} %` : capital(face.state);
      return make('li', {}, make('span', { textContent: `Face ${i + 1}` }), make('span', { textContent: part }));
    }));
  }

  async finish(status) {
    const result = await read('blob', `/v1/jobs/${this.id}/result`);
    const after = this.url(result), link = this.$('.download');
    this.$('.before').src = this.original;
    this.$('.after').src = after;
    link.href = after;
    link.download = `${this.file.name.replace(/\.[^.]*$/, '')}-protected${ENDINGS[result.type] ?? ''}`;
    link.ariaLabel = `Download ${link.download}`;
    const { faces } = status.report;
    this.$('.scores').replaceChildren(...faces.map((face, i) => scores(face, i + 1, faces.length)));
    this.$('.meaning').hidden = !faces.length;
    this.show('done', status.cached ? 'Protected already' : `Protected in ${this.elapsed()}`);
    this.crops(faces);
  }

  /** Small pictures of the faces, so that it is plain which is which. */
  async crops(faces) {
    const image = this.$('.after');
    await image.decode().catch(() => {}); // what cannot be shown has no crops
    if (!image.naturalWidth) return;
    this.view.querySelectorAll('.face-head canvas').forEach((canvas, i) => {
      const [left, top, right, bottom] = faces[i].box, side = Math.max(right - left, bottom - top);
      const [x, y] = [(left + right - side) / 2, (top + bottom - side) / 2];
      canvas.hidden = false;
      canvas.getContext('2d').drawImage(image, x, y, side, side, 0, 0, canvas.width, canvas.height);
    });
  }

  fail(problem) {
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

  /** The server ends the job, or drops its result; what it makes of that, the next look says. */
  async tellUnwanted(options = {}) {
    if (this.id && localStorage.getItem(KEY)) await ask(`/v1/jobs/${this.id}`, { method: 'DELETE', ...options }).catch(() => {});
  }

  remove() {
    if (this.busy) this.cancel();
    else this.tellUnwanted();
    this.stopClock();
    jobs.delete(this);
    this.view.remove();
    this.urls.forEach((url) => URL.revokeObjectURL(url));
  }

  // --- what is seen --------------------------------------------------------

  get busy() {
    return ['waiting', 'working'].includes(this.state);
  }

  /** `state` is waiting, working, done, failed or cancelled; `text` says it to people. */
  show(state, text) {
    [this.state, this.text] = [state, text];
    const held = document.activeElement;
    this.view.className = `card job ${state}`;
    this.$('.working').hidden = this.$('.cancel').hidden = !this.busy;
    this.$('.problem').hidden = state !== 'failed';
    this.$('.again').hidden = !['failed', 'cancelled'].includes(state);
    this.$('.remove').hidden = this.busy;
    for (const part of ['.pair', '.scores', '.download']) this.$(part).hidden = state !== 'done';
    this.$('.thumb').hidden = state === 'done' || !this.$('.thumb').naturalWidth;
    if (text !== 'Working') this.$('.now').textContent = '';
    if (this.busy) this.startClock();
    else this.announce();
    // A button that was pressed and is gone takes the focus with it.
    if (this.view.contains(held) && !held.checkVisibility()) this.$('.buttons > :not([hidden])').focus();
  }

  announce() {
    this.stopClock();
    this.$('.state').textContent = this.text;
    if (!jobs.has(this)) return;
    const over = [...jobs].filter((job) => !job.busy).length;
    const count = jobs.size > 1 ? ` ${over} of ${jobs.size} photos are finished.` : '';
    const result = { done: 'is protected', cancelled: 'was cancelled', failed: 'is not protected' }[this.state];
    $('#news').textContent = `${this.file.name} ${result}.${count}`;
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

// Nobody waits any more: let the server go on with the photos of others.
addEventListener('pagehide', () => { for (const job of jobs) if (job.busy) job.tellUnwanted({ keepalive: true }); });

// --- what the recognisers say ---------------------------------------------------------------------

const stage = (status) => STAGES[status.stage] ?? status.stage;

/** The search's own measure: 1 is a typical pair of one person, 0 the recognisers' limit. */
function recognisable(value) {
  return value === null ? '' : `Recognisable: ${Math.round(100 * value)} % (aim: below 0 %)`;
}

/** A section with a table of what every recogniser makes of one face. */
function scores(face, number, count) {
  const entries = Object.entries(face.recognisers);
  const titles = ['Recogniser', 'Before', 'After'].map((text) => make('th', { scope: 'col', textContent: text }));
  const table = make('table', {}, make('thead', {}, make('tr', {}, ...titles)), make('tbody', {}, ...entries.map(scoreRow)));
  table.ariaLabel = `What each recogniser makes of face ${number} before and after`;
  const which = count > 1 ? `Face ${number} of ${count}. ` : '';
  const lost = face.found_after === false ? ' A face is no longer found here at all.' : '';
  const change = `${which}How much changed: PSNR ${face.psnr.toFixed(1)} dB (higher is less to see).${lost}`;
  const title = make('h3', { textContent: summary(entries.map(([, r]) => r)) });
  const text = make('div', {}, title, make('p', { className: 'quiet', textContent: change }));
  const crop = make('canvas', { width: 96, height: 96, ariaHidden: 'true', hidden: true });
  return make('section', {}, make('div', { className: 'face-head' }, crop, text), table);
}

function summary(results) {
  if (!results.some((r) => r.matched_before || r.matched_after)) return 'No recogniser here matched this face, before or after';
  const still = results.filter((r) => r.matched_after).length;
  if (!still) return 'No recogniser here matches this face any more';
  return `${still} of ${results.length} recognisers still ${still === 1 ? 'matches' : 'match'} this face`;
}

function scoreRow([name, r]) {
  const [measure, side] = r.metric === 'cosine' ? ['Similarity', 'above'] : ['Distance', 'below'];
  const head = make('th', { scope: 'row' }, name, make('small', { textContent: `${measure}, matches ${side} ${r.threshold.toFixed(3)}` }));
  if (!r.surrogate) head.firstChild.after(' ', make('span', { className: 'tag', textContent: 'held out' }));
  const cell = (value, text, className) => make('td', {}, value.toFixed(3).replace('-', '−'), make('span', { className }, text));
  const verdict = r.matched_before
    ? (r.matched_after ? 'still matches' : 'no longer matches') : (r.matched_after ? 'matches now' : 'does not match');
  return make('tr', {}, head, cell(r.before, r.matched_before ? 'matches' : 'does not match', ''),
    cell(r.after, verdict, r.matched_after ? 'still' : 'good'));
}

// --- the page opens ------------------------------------------------------------------------------

/** Take the code out of the address, where it could be seen or kept. */
function givenCode() {
  const code = new URLSearchParams(location.hash.slice(1)).get('pair');
  if (location.hash) history.replaceState(null, '', location.pathname);
  return code;
}

/** A browser that is paired stays so, whatever old link it was opened with. */
async function enter() {
  const code = givenCode();
  try {
    if (localStorage.getItem(KEY)) {
      try {
        return await begin();
      } catch (problem) {
        if (!code || problem.code !== 'unpaired') throw problem;
      }
    }
    if (!code) return askForCode();
    await pair(code);
    await begin();
  } catch (problem) {
    askForCode(words(problem));
  }
}

addEventListener('hashchange', () => location.hash && $('#work').hidden && enter());
await enter();
