// The server's own page: pair, choose photos, watch, compare, download.  It talks to nobody but its server.

const KEY = 'clip2protect-token';
const $ = (selector, root = document) => root.querySelector(selector);

/** A request with the token.  Throws {code, title, detail} for an answer that is a problem. */
async function ask(path, options = {}) {
  const headers = { 'X-Clip2Protect': '1', ...options.headers };
  const token = localStorage.getItem(KEY);
  if (token) headers.Authorization = `Bearer ${token}`;
  let response;
  try {
    response = await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw { code: 'unreachable', title: 'The server does not answer: is it still running?' };
  }
  if (response.ok) return response;
  const problem = await response.json().catch(() => ({ code: 'internal', title: `The server answered ${response.status}` }));
  if (problem.code === 'unpaired') askForCode(token ? problem.title : '');
  throw problem;
}

const words = (problem) => [problem.title, problem.detail].filter(Boolean).join(': ');

// --- pairing -------------------------------------------------------------------------------------

function askForCode(why = '') {
  localStorage.removeItem(KEY);
  $('#work').hidden = true;
  $('#pairing').hidden = false;
  $('#pairing-problem').textContent = why;
  $('#code').focus();
}

async function pair(code) {
  const body = JSON.stringify({ code, name: 'web page' });
  const response = await ask('/v1/pair', { method: 'POST', body, headers: { 'Content-Type': 'application/json' } });
  localStorage.setItem(KEY, (await response.json()).token);
}

$('#pairing').addEventListener('submit', async (event) => {
  event.preventDefault();
  try {
    await pair($('#code').value);
    await begin();
  } catch (problem) {
    $('#pairing-problem').textContent = words(problem);
  }
});

async function begin() {
  const [prompts, levels] = await Promise.all(['/v1/prompts', '/v1/levels'].map(async (path) => (await ask(path)).json()));
  $('#presets').replaceChildren(...[...Object.keys(prompts.presets), prompts.auto, prompts.none].map((name) => new Option('', name)));
  $('#prompt').value ||= prompts.default;
  $('#level').replaceChildren(...levels.levels.map((name) => new Option(name, name, name === levels.default, name === levels.default)));
  $('#pairing').hidden = true;
  $('#work').hidden = false;
}

// --- photos --------------------------------------------------------------------------------------

const drop = $('#drop');
for (const kind of ['dragenter', 'dragover']) drop.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.add('over'); });
for (const kind of ['dragleave', 'drop']) drop.addEventListener(kind, () => drop.classList.remove('over'));
drop.addEventListener('drop', (event) => { event.preventDefault(); take(event.dataTransfer.files); });
addEventListener('paste', (event) => { if (!$('#work').hidden) take(event.clipboardData.files); });
$('#photos').addEventListener('change', (event) => { take([...event.target.files]); event.target.value = ''; });

function take(files) {
  for (const file of files) new Job(file).run();
}

/** One photo on the page. */
class Job {
  constructor(file) {
    this.file = file;
    this.view = $('#job').content.cloneNode(true).firstElementChild;
    $('h2', this.view).textContent = file.name;
    $('.cancel', this.view).addEventListener('click', () => this.cancel());
    $('.again', this.view).addEventListener('click', () => this.run());
    $('input[type=range]', this.view).addEventListener('input', (event) => {
      $('.photos', this.view).style.setProperty('--cut', `${event.target.value}%`);
    });
    $('#jobs').prepend(this.view);
  }

  async run() {
    this.stop = new AbortController();
    this.show({ problem: '', state: 'Sending', working: true });
    try {
      const query = new URLSearchParams({ prompt: $('#prompt').value, level: $('#level').value });
      const headers = { 'Content-Type': this.file.type || 'application/octet-stream' };
      const sent = await ask(`/v1/jobs?${query}`, { method: 'POST', body: this.file, headers, signal: this.stop.signal });
      this.id = (await sent.json()).id;
      const status = await this.follow();
      if (status.state !== 'done') throw status.error;
      await this.finish(status);
    } catch (problem) {
      if (problem.name === 'AbortError' || problem.code === 'cancelled') this.show({ state: 'Cancelled', working: false });
      else this.show({ state: 'Not protected', problem: words(problem), working: false });
    }
  }

  /** Progress until the job is over; goes on where a stream breaks off. */
  async follow() {
    for (let failures = 0, last = ''; ;) {
      try {
        const headers = last ? { 'Last-Event-ID': last } : {};
        const response = await ask(`/v1/jobs/${this.id}/events`, { headers, signal: this.stop.signal });
        for await (const { id, data } of messages(response.body)) {
          [last, failures] = [id, 0];
          const status = JSON.parse(data);
          this.progress(status);
          if (['done', 'failed', 'cancelled'].includes(status.state)) return status;
        }
      } catch (problem) {
        if (problem.name === 'AbortError' || (problem.code && problem.code !== 'unreachable') || ++failures > 5) throw problem;
      }
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }

  progress(status) {
    const face = status.faces > 1 ? `, face ${status.face} of ${status.faces}` : '';
    const similarity = status.similarity === null ? '' : `, similarity ${status.similarity.toFixed(2)}`;
    this.show({ state: status.state === 'queued' ? 'Waiting' : `${status.stage || 'starting'}${face}${similarity}`, part: status.progress });
  }

  async finish(status) {
    const after = await (await ask(`/v1/jobs/${this.id}/result`)).blob();
    const name = this.file.name.replace(/\.[^.]*$/, '') + '-protected.' + { 'image/jpeg': 'jpg', 'image/png': 'png', 'image/webp': 'webp' }[after.type];
    $('.before', this.view).src = URL.createObjectURL(this.file);
    $('.after', this.view).src = URL.createObjectURL(after);
    const link = $('.download', this.view);
    link.href = $('.after', this.view).src;
    link.download = name;
    $('.scores', this.view).replaceChildren(...status.report.faces.map(scores));
    for (const part of ['.pair', '.scores', '.download']) $(part, this.view).hidden = false;
    this.show({ state: 'Protected', part: 1, working: false });
    $('#news').textContent = `${this.file.name} is protected`;
  }

  async cancel() {
    this.stop.abort();
    if (this.id) await ask(`/v1/jobs/${this.id}`, { method: 'DELETE' }).catch(() => {});
  }

  show({ state, problem, part, working }) {
    if (state !== undefined) $('.state', this.view).textContent = state;
    if (part !== undefined) $('progress', this.view).value = part;
    if (problem !== undefined) {
      $('.problem', this.view).textContent = problem;
      $('.problem', this.view).hidden = !problem;
    }
    if (working !== undefined) {
      $('progress', this.view).hidden = $('.cancel', this.view).hidden = !working;
      $('.again', this.view).hidden = working || !$('.download', this.view).hidden;
    }
  }
}

/** A table of what every recogniser makes of one face. */
function scores(face) {
  const rows = Object.entries(face.recognisers).map(([name, r]) => [
    name + (r.surrogate ? '' : ' (held out)'), r.before.toFixed(2), r.after === null ? 'no face' : r.after.toFixed(2),
    r.threshold.toFixed(2), r.matched_after ? 'still matches' : 'no match',
  ]);
  const table = document.createElement('table');
  const row = (cells, kind) => {
    const line = table.insertRow();
    for (const text of cells) line.append(Object.assign(document.createElement(kind), { textContent: text }));
  };
  row(['recogniser', 'before', 'after', 'threshold', ''], 'th');
  for (const cells of rows) row(cells, 'td');
  return table;
}

/** Messages of a stream of server-sent events.  EventSource cannot send a token. */
async function* messages(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (let text = ''; ;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (text + value).split('\n\n');
    text = parts.pop();
    for (const part of parts) {
      const fields = Object.fromEntries(part.split('\n').map((line) => line.split(/: (.*)/s, 2)));
      if (fields.data) yield fields;
    }
  }
}

const given = new URLSearchParams(location.hash.slice(1)).get('pair');
history.replaceState(null, '', location.pathname);
try {
  if (given) await pair(given);
  if (localStorage.getItem(KEY)) await begin();
  else askForCode();
} catch (problem) {
  askForCode(words(problem));
}
