const FOCUSABLE =
  'a[href], button:not(:disabled), input:not(:disabled), select:not(:disabled), summary, [tabindex="0"]';

/**
 * Sees to it that the keyboard's focus is never lost: where what has it goes away, the nearest thing beside it that is
 * still there gets it, or the page.
 * @returns how to stop
 */
export function keepFocus(page: HTMLElement): () => void {
  /** What had the focus last, and what it lies in, from the inside out. */
  let chain: Element[] = [];
  const remember = ({ target }: FocusEvent) => {
    chain = [];
    for (let element = target instanceof Element ? target : null; element; element = element.parentElement)
      chain.push(element);
  };
  const observer = new MutationObserver(() => {
    const [last] = chain;
    if (last === undefined || last.isConnected || document.activeElement !== document.body) return;
    const place = chain.find((element) => element.isConnected);
    const within = place && page.contains(place) && place !== page ? place : null;
    (within?.querySelector<HTMLElement>(FOCUSABLE) ?? page).focus({ preventScroll: true });
  });
  document.addEventListener('focusin', remember);
  observer.observe(document.body, { childList: true, subtree: true });
  return () => {
    document.removeEventListener('focusin', remember);
    observer.disconnect();
  };
}
