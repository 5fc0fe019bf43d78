/** How a table is sorted: by a column, up or down. */
export interface Order<Column extends string> {
  column: Column;
  descending: boolean;
}

export type SortValue = string | number | null | undefined;

/** Numbers by size, words by the reader's alphabet with numbers in them by size; what is not known comes last. */
export function compareValues(a: SortValue, b: SortValue, descending: boolean): number {
  if (a == null || b == null) return Number(a == null) - Number(b == null);
  const rising =
    typeof a === 'number' && typeof b === 'number'
      ? a - b
      : String(a).localeCompare(String(b), undefined, { numeric: true, sensitivity: 'base' });
  return descending ? -rising : rising;
}

/** A sorted copy; equal ones keep their order. */
export function sorted<T, Column extends string>(
  rows: readonly T[],
  { column, descending }: Order<Column>,
  valueOf: (row: T, column: Column) => SortValue,
): T[] {
  return [...rows].sort((a, b) => compareValues(valueOf(a, column), valueOf(b, column), descending));
}

/** The order after a heading was pressed: the same one turned round, or another with its better end first. */
export function pressed<Column extends string>(
  order: Order<Column> | null,
  column: Column,
  descendingFirst: boolean,
): Order<Column> {
  return { column, descending: order?.column === column ? !order.descending : descendingFirst };
}
