/** The 19 tasks of VTAB-1K (Zhai et al., "A Large-scale Study of Representation Learning with the Visual Task Adaptation Benchmark", arXiv:1910.04867). */

export const GROUPS = ['natural', 'specialized', 'structured'] as const;
export type Group = (typeof GROUPS)[number];

export interface VtabTask {
  /** The usual name of its folder. */
  folder: string;
  group: Group;
  /** As the papers' tables head its column. */
  heading: string;
  classes: number;
  /** Images of its test split. */
  test: number;
  /** Other names that its folder goes by. */
  aliases?: readonly string[];
}

/** In the order of the papers' tables. */
export const VTAB_TASKS: readonly VtabTask[] = [
  { folder: 'cifar', group: 'natural', heading: 'Cifar100', classes: 100, test: 10_000, aliases: ['cifar100'] },
  { folder: 'caltech101', group: 'natural', heading: 'Caltech101', classes: 102, test: 6_084 },
  { folder: 'dtd', group: 'natural', heading: 'DTD', classes: 47, test: 1_880 },
  {
    folder: 'oxford_flowers102',
    group: 'natural',
    heading: 'Flowers102',
    classes: 102,
    test: 6_149,
    aliases: ['flowers102'],
  },
  {
    folder: 'oxford_iiit_pet',
    group: 'natural',
    heading: 'Pets',
    classes: 37,
    test: 3_669,
    aliases: ['pets', 'oxfordpet'],
  },
  { folder: 'svhn', group: 'natural', heading: 'SVHN', classes: 10, test: 26_032 },
  { folder: 'sun397', group: 'natural', heading: 'Sun397', classes: 397, test: 21_750 },
  { folder: 'patch_camelyon', group: 'specialized', heading: 'Camelyon', classes: 2, test: 32_768 },
  { folder: 'eurosat', group: 'specialized', heading: 'EuroSAT', classes: 10, test: 5_400 },
  { folder: 'resisc45', group: 'specialized', heading: 'Resisc45', classes: 45, test: 6_300 },
  { folder: 'diabetic_retinopathy', group: 'specialized', heading: 'Retinopathy', classes: 5, test: 42_670 },
  { folder: 'clevr_count', group: 'structured', heading: 'Clevr-Count', classes: 8, test: 15_000 },
  { folder: 'clevr_dist', group: 'structured', heading: 'Clevr-Dist', classes: 6, test: 15_000 },
  { folder: 'dmlab', group: 'structured', heading: 'DMLab', classes: 6, test: 22_735 },
  { folder: 'kitti', group: 'structured', heading: 'KITTI', classes: 4, test: 711 },
  { folder: 'dsprites_loc', group: 'structured', heading: 'dSpr-Loc', classes: 16, test: 73_728 },
  { folder: 'dsprites_ori', group: 'structured', heading: 'dSpr-Ori', classes: 16, test: 73_728 },
  { folder: 'smallnorb_azi', group: 'structured', heading: 'sNORB-Azi', classes: 18, test: 12_150 },
  { folder: 'smallnorb_ele', group: 'structured', heading: 'sNORB-Ele', classes: 9, test: 12_150 },
];

/** The task that a folder's name stands for, whatever its case, hyphens and underscores; undefined for other sets. */
export function vtabTaskOf(folder: string): VtabTask | undefined {
  const plain = plainName(folder);
  return VTAB_TASKS.find(({ folder: usual, aliases = [] }) => [usual, ...aliases].map(plainName).includes(plain));
}

function plainName(name: string): string {
  return name.toLowerCase().replaceAll(/[^a-z0-9]/g, '');
}

/** Names of sets in the order of the papers' tables, others after them by name. */
export function inPaperOrder(folders: readonly string[]): string[] {
  const place = (folder: string): number => {
    const task = vtabTaskOf(folder);
    return task ? VTAB_TASKS.indexOf(task) : VTAB_TASKS.length;
  };
  return folders.toSorted((a, b) => place(a) - place(b) || a.localeCompare(b, 'en'));
}
