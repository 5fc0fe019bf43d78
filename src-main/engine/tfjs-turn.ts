import { inTurn } from '../base/in-turn.ts';

/** TF.js keeps its backend and its scopes in one global; whoever switches or runs it takes a turn here. */
export const withTfjs = inTurn();
