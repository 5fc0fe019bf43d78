import { Failure } from '../../base/failure.ts';

/**
 * Refuses classes whose names are equal but for case or Unicode form: a slip that would split a class in two.
 * @throws Failure `dataset`
 */
export function checkClassNames(classes: readonly string[], root: string): void {
  const seen = new Map<string, string>();
  for (const name of classes) {
    const folded = name.normalize('NFC').toLowerCase();
    const other = seen.get(folded);
    if (other !== undefined) {
      const slip = other === name ? 'appears twice' : `and ${JSON.stringify(other)} differ only in case`;
      throw new Failure('dataset', `The class ${JSON.stringify(name)} ${slip} in "${root}": rename or merge them.`);
    }
    seen.set(folded, name);
  }
}
