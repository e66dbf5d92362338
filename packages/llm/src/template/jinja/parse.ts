import type { Branch, Expression, NamedCall, Parameter, Statement, Target } from './ast.ts';
import { tokenize } from './lexer.ts';
import { ExpressionParser } from './parse-expression.ts';

/**
 * Reads a template.
 *
 * @throws TemplateError on what is no Jinja2, and on `include`, `import` and `extends`: a chat template stands alone.
 */
export function parse(template: string): Statement[] {
  return new StatementParser(template).template();
}

class StatementParser extends ExpressionParser {
  /** Loops around the current statement, since the innermost macro. */
  #loops = 0;

  constructor(template: string) {
    super(tokenize(template));
  }

  template(): Statement[] {
    const body = this.#body();
    if (!this.is('end')) this.fail(`unexpected tag '${this.current.value}'`);
    return body;
  }

  /** Statements up to one of the tags that end them; the tag's name is left for the caller. */
  #body(...ends: string[]): Statement[] {
    const statements: Statement[] = [];
    for (;;) {
      if (this.is('end')) {
        if (ends.length > 0) this.fail(`the template ends where '${ends.join("' or '")}' is expected`);
        return statements;
      }
      if (this.is('text')) statements.push({ type: 'text', value: this.next().value });
      else if (this.accept('open-print')) statements.push(this.#print());
      else {
        this.expect('open-block');
        if (this.current.type === 'name' && ends.includes(this.current.value)) return statements;
        statements.push(...this.nested(() => this.#block()));
      }
    }
  }

  #print(): Statement {
    const value = this.tuple();
    this.expect('close-print');
    return { type: 'print', value };
  }

  #close(): void {
    this.expect('close-block');
  }

  #block(): Statement[] {
    const { value: tag } = this.expect('name');
    switch (tag) {
      case 'if':
        return [this.#if()];
      case 'for':
        return [this.#for()];
      case 'set':
        return [this.#set()];
      case 'macro':
        return [this.#macro()];
      case 'call':
        return [this.#call()];
      case 'filter':
        return [this.#filtered()];
      case 'with':
        return [this.#with()];
      case 'generation':
        return [this.#generation()];
      case 'break':
      case 'continue':
        if (this.#loops === 0) this.fail(`'${tag}' stands outside of a loop`);
        this.#close();
        return [{ type: tag }];
      case 'print':
        return this.#prints();
      case 'include':
      case 'import':
      case 'from':
      case 'extends':
      case 'block':
        return this.fail(`'${tag}' is not supported: a chat template stands alone`);
      default:
        return this.fail(`unknown tag '${tag}'`);
    }
  }

  #prints(): Statement[] {
    const value = this.tuple();
    this.#close();
    return value.type === 'tuple' ? value.items.map((item) => ({ type: 'print', value: item })) : [{ type: 'print', value }];
  }

  #if(): Statement {
    const branches: Branch[] = [];
    let otherwise: Statement[] = [];
    let tag = 'elif';
    while (tag === 'elif') {
      const test = this.tuple({ condition: false });
      this.#close();
      branches.push({ test, body: this.#body('elif', 'else', 'endif') });
      tag = this.next().value;
    }
    if (tag === 'else') {
      this.#close();
      otherwise = this.#body('endif');
      this.next();
    }
    this.#close();
    return { type: 'if', branches, otherwise };
  }

  #for(): Statement {
    const target = this.#targets();
    this.expect('name', 'in');
    const iterable = this.tuple({ condition: false });
    const condition = this.accept('name', 'if') ? this.expression() : undefined;
    const recursive = this.accept('name', 'recursive');
    this.#close();
    this.#loops++;
    const body = this.#body('else', 'endfor');
    this.#loops--;
    let otherwise: Statement[] = [];
    if (this.next().value === 'else') {
      this.#close();
      otherwise = this.#body('endfor');
      this.next();
    }
    this.#close();
    return { type: 'for', target, iterable, condition, recursive, body, otherwise };
  }

  #set(): Statement {
    const target = this.#targets();
    if (this.accept('operator', '=')) {
      const value = this.tuple();
      this.#close();
      return { type: 'set', target, value };
    }
    const filters = this.#filterChain(this.accept('operator', '|'));
    this.#close();
    const body = this.#body('endset');
    this.next();
    this.#close();
    return { type: 'capture', target, filters, body };
  }

  #filterChain(first: boolean): NamedCall[] {
    const filters: NamedCall[] = [];
    for (let more = first; more; more = this.accept('operator', '|')) filters.push(this.namedCall());
    return filters;
  }

  #macro(): Statement {
    const { value: name } = this.expect('name');
    const parameters = this.#parameters();
    this.#close();
    return { type: 'macro', name, parameters, body: this.#function('endmacro') };
  }

  #call(): Statement {
    const parameters = this.is('operator', '(') ? this.#parameters() : [];
    const call = this.expression();
    if (call.type !== 'call') this.fail("'call' expects a call");
    this.#close();
    return { type: 'call', call, parameters, body: this.#function('endcall') };
  }

  /** The body of what becomes a function: loops around it can't be left from within. */
  #function(end: string): Statement[] {
    const loops = this.#loops;
    this.#loops = 0;
    const body = this.#body(end);
    this.#loops = loops;
    this.next();
    if (end === 'endmacro') this.accept('name');
    this.#close();
    return body;
  }

  #parameters(): Parameter[] {
    this.expect('operator', '(');
    const parameters: Parameter[] = [];
    while (!this.is('operator', ')')) {
      const { value: name } = this.expect('name');
      const fallback = this.accept('operator', '=') ? this.expression() : undefined;
      if (fallback === undefined && parameters.at(-1)?.fallback !== undefined) this.fail('a parameter without default follows one with a default');
      parameters.push({ name, fallback });
      if (!this.accept('operator', ',')) break;
    }
    this.expect('operator', ')');
    return parameters;
  }

  #filtered(): Statement {
    const filters = this.#filterChain(true);
    this.#close();
    const body = this.#body('endfilter');
    this.next();
    this.#close();
    return { type: 'filtered', filters, body };
  }

  #with(): Statement {
    const bindings: [Target, Expression][] = [];
    while (!this.is('close-block')) {
      const target = this.#targets(true);
      this.expect('operator', '=');
      bindings.push([target, this.expression()]);
      if (!this.accept('operator', ',')) break;
    }
    this.#close();
    const body = this.#body('endwith');
    this.next();
    this.#close();
    return { type: 'with', bindings, body };
  }

  /** The tag of transformers that marks what the assistant said; rendering only sees a scope. */
  #generation(): Statement {
    this.#close();
    const body = this.#body('endgeneration');
    this.next();
    this.#close();
    return { type: 'with', bindings: [], body };
  }

  #targets(single = false): Target {
    const { line } = this.current;
    const first = this.#target();
    if (single || !this.is('operator', ',')) return first;
    const items = [first];
    while (this.accept('operator', ',')) {
      if (this.is('name', 'in') || this.is('operator', '=')) break;
      items.push(this.#target());
    }
    return { type: 'tuple', items, line };
  }

  #target(): Target {
    const { line } = this.current;
    if (this.accept('operator', '(')) {
      const inner = this.nested(() => this.#targets());
      this.expect('operator', ')');
      return inner;
    }
    const { value: name } = this.expect('name');
    if (!this.accept('operator', '.')) return { type: 'name', name };
    return { type: 'member', name, attribute: this.expect('name').value, line };
  }
}
