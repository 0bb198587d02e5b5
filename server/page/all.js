// The bar above the photos: what can be done with all of them at once.

import { $, attempt } from './parts.js';
import { zipped } from './zip.js';

/** The name of the file with all protected photos. */
const NAME = 'protected-photos.zip';

/** Show the bar where there are several photos, with what can be done now.
 * @param {import('./job.js').Job[]} jobs in the page's order */
export function showAll(jobs) {
  const busy = jobs.filter((job) => job.busy).length, done = jobs.filter((job) => job.result).length;
  const buttons = { download: done, cancel: busy, remove: jobs.length - busy };
  $('#all').hidden = jobs.length < 2;
  $('#all-count').textContent = `${jobs.length - busy} of ${jobs.length} photos are finished`;
  const focused = document.activeElement;
  for (const [name, count] of Object.entries(buttons)) $(`#all-${name}`).hidden = !count;
  // A button that is hidden loses the focus: give it to another one of the bar.
  if ($('#all').contains(focused) && !focused.checkVisibility()) {
    ($('#all button:not([hidden])') ?? $('#photos')).focus();
  }
}

/** Let the user do something with all photos.
 * @param {() => import('./job.js').Job[]} jobs the photos now, in the page's order */
export function offerAll(jobs) {
  $('#all-download').addEventListener('click', () => attempt('#all-problem', async () => {
    const done = jobs().filter((job) => job.result);
    const archive = await zipped(done.map((job) => ({ name: job.resultName, blob: job.result })));
    const href = URL.createObjectURL(archive);
    Object.assign(document.createElement('a'), { href, download: NAME }).click();
    setTimeout(() => URL.revokeObjectURL(href), 60_000); // the browser saves it meanwhile
  }));
  $('#all-cancel').addEventListener('click', () => {
    // The last first: none moves up meanwhile.
    for (const job of jobs().filter(({ busy }) => busy).reverse()) job.cancel();
  });
  $('#all-remove').addEventListener('click', () => {
    for (const job of jobs().filter(({ busy }) => !busy)) job.remove();
    $('#photos').focus();
  });
}
