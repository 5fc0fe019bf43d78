/** Whole numbers from 1 on, typed with commas or blanks between them; undefined for none, null for what is no such list. */
export function wholeNumbers(typed: string): number[] | undefined | null {
  const parts = typed.split(/[\s,;]+/).filter((part) => part !== '');
  if (parts.length === 0) return undefined;
  const numbers = parts.map(Number);
  return numbers.every((number) => Number.isInteger(number) && number >= 1) ? numbers : null;
}

/** One of them. */
export function wholeNumber(typed: string): number | undefined | null {
  const numbers = wholeNumbers(typed);
  return numbers && (numbers.length === 1 ? numbers[0] : null);
}
