import { discoveryContract } from '../discovery.contract.ts';
import { mem, MemStore } from './index.ts';

discoveryContract({
  open: async () => {
    const store = new MemStore();
    const stack = new AsyncDisposableStack();
    return { a: stack.use(mem(store)), b: stack.use(mem(store)), [Symbol.asyncDispose]: () => stack.disposeAsync() };
  },
  skip: [],
});
