// The server's own page: pair, choose photos, watch, compare, download.  It talks to nobody but its server, and
// tells the server no file name.

import { Job, OWN } from './job.js';
import { showOwner } from './owner.js';
import { askForCode } from './pairing.js';
import { $, attempt, capital, isPhoto } from './parts.js';
import { pair, paired, read, words } from './server.js';

const LEVELS = {
  subtle: 'Subtle: least to see, protects less', balanced: 'Balanced', strong: 'Strong: protects more, more to see',
};

// --- the choices ---------------------------------------------------------------------------------

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

// --- the page opens ------------------------------------------------------------------------------

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
    if (paired()) {
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
