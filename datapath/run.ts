export { DROP_REASONS } from './drop';
export { KEY_SIZE } from './flow/key';
export { OP_END } from './action/opcode';
