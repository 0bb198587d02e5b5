// Types of the content scripts; there is no code here.

/**
 * Files that were on their way to the page, and how they go on.
 * @typedef {object} Upload
 * @property {File[]} files
 * @property {(files: File[]) => void} deliver
 * @property {() => void} cancel let the page's own controls recover; it gets no file
 */

/**
 * @typedef {object} Parts
 * @property {WeakSet<Event>} own events that we made ourselves
 * @property {(input: HTMLInputElement, files: File[]) => Upload} toInput
 * @property {(event: DragEvent, files: File[]) => Upload} toDrop
 * @property {(event: ClipboardEvent, files: File[]) => Upload} toPaste
 * @property {(element: Element) => ShadowRoot | null} rootIn
 * @property {(text: string) => void} notice
 */

export {};
