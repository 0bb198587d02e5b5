// Times in words.

/** How long ago something was, in minutes, hours or days.
 * @param {string} language
 * @param {number} milliseconds
 * @returns {string} */
export function agoIn(language, milliseconds) {
  const words = new Intl.RelativeTimeFormat(language, { numeric: 'auto' });
  const minutes = -Math.round(milliseconds / 60_000);
  if (minutes > -60) return words.format(minutes, 'minute');
  if (minutes > -24 * 60) return words.format(Math.round(minutes / 60), 'hour');
  return words.format(Math.round(minutes / 1440), 'day');
}
