// Lists whose rows are drawn anew whenever something changes.

/** Put rows into a list.  Whoever was on a button of one is then on the one in its place.
 * @param {HTMLElement} list
 * @param {HTMLElement[]} rows
 * @param {HTMLElement} otherwise where to be when no row is left */
export function putRows(list, rows, otherwise) {
  const buttons = () => [...list.querySelectorAll('button')];
  const at = buttons().findIndex((button) => button === document.activeElement);
  list.replaceChildren(...rows);
  if (at >= 0) (buttons()[at] ?? buttons().at(-1) ?? otherwise).focus();
}
