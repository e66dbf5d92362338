import { float } from '@dynamo/runtime/internal';
import type { Arguments, Comparison, Expression, NamedCall, Operator, Relation } from './ast.ts';
import { unquote } from './lexer.ts';
import { TokenStream } from './token-stream.ts';

const constants: ReadonlyMap<string, boolean | null> = new Map([
  ['true', true],
  ['True', true],
  ['false', false],
  ['False', false],
  ['none', null],
  ['None', null],
]);

const relations: ReadonlySet<string> = new Set(['==', '!=', '<', '<=', '>', '>=']);

/** Words that end a test's argument list where no parenthesis does. */
const afterTest: ReadonlySet<string> = new Set(['else', 'or', 'and', 'if', 'is', 'in', 'not', 'recursive']);

/** What starts an argument of a test without parentheses, as in `is divisibleby 3`. */
const startsValue: ReadonlySet<string> = new Set(['name', 'string', 'integer', 'float']);

/** Reads expressions from tokens by Jinja2's own ranks: `~` binds tighter than `+`, a sign tighter than `**`, a filter tighter than both. */
export class ExpressionParser extends TokenStream {
  /** One expression, with `a if b else c` unless that is left to the caller. */
  expression(options: { condition?: boolean } = {}): Expression {
    return this.nested(() => (options.condition === false ? this.#or() : this.#condition()));
  }

  /** One expression, or a tuple when commas follow. */
  tuple(options: { condition?: boolean } = {}): Expression {
    const first = this.expression(options);
    if (!this.is('operator', ',')) return first;
    const items = [first];
    while (this.accept('operator', ',')) {
      if (this.#endsTuple()) break;
      items.push(this.expression(options));
    }
    return { type: 'tuple', items };
  }

  #endsTuple(): boolean {
    const { type, value } = this.current;
    return type === 'close-print' || type === 'close-block' || (type === 'operator' && (value === ')' || value === ']' || value === '='));
  }

  #condition(): Expression {
    let value = this.#or();
    while (this.accept('name', 'if')) {
      const test = this.#or();
      const otherwise = this.accept('name', 'else') ? this.nested(() => this.#condition()) : undefined;
      value = { type: 'condition', test, value, otherwise };
    }
    return value;
  }

  #or(): Expression {
    let left = this.#and();
    while (this.accept('name', 'or')) left = { type: 'or', left, right: this.#and() };
    return left;
  }

  #and(): Expression {
    let left = this.#not();
    while (this.accept('name', 'and')) left = { type: 'and', left, right: this.#not() };
    return left;
  }

  #not(): Expression {
    if (this.accept('name', 'not')) return { type: 'not', operand: this.nested(() => this.#not()) };
    return this.#compare();
  }

  #compare(): Expression {
    const first = this.#sum();
    const rest: Comparison[] = [];
    for (;;) {
      const relation = this.#relation();
      if (relation === undefined) break;
      rest.push({ relation, right: this.#sum() });
    }
    return rest.length === 0 ? first : { type: 'compare', first, rest };
  }

  #relation(): Relation | undefined {
    if (this.current.type === 'operator' && relations.has(this.current.value)) return this.next().value as Relation;
    if (this.accept('name', 'in')) return 'in';
    if (!this.is('name', 'not') || this.following.type !== 'name' || this.following.value !== 'in') return undefined;
    this.next();
    this.next();
    return 'not in';
  }

  #sum(): Expression {
    return this.#binary(['+', '-'], () => this.#concat());
  }

  #concat(): Expression {
    const items = [this.#product()];
    while (this.accept('operator', '~')) items.push(this.#product());
    return items.length === 1 ? (items[0] as Expression) : { type: 'concat', items };
  }

  #product(): Expression {
    return this.#binary(['*', '/', '//', '%'], () => this.#power());
  }

  #power(): Expression {
    return this.#binary(['**'], () => this.#unary(true));
  }

  #binary(operators: readonly string[], part: () => Expression): Expression {
    let left = part();
    while (this.current.type === 'operator' && operators.includes(this.current.value)) {
      const operator = this.next().value as Operator;
      left = { type: 'arithmetic', operator, left, right: part() };
    }
    return left;
  }

  #unary(withFilters: boolean): Expression {
    let value: Expression;
    if (this.accept('operator', '-')) value = { type: 'negative', operand: this.nested(() => this.#unary(false)) };
    else if (this.accept('operator', '+')) value = { type: 'positive', operand: this.nested(() => this.#unary(false)) };
    else value = this.#primary();
    value = this.#postfix(value);
    return withFilters ? this.#filters(value) : value;
  }

  #primary(): Expression {
    const { type, value } = this.current;
    if (type === 'name') return this.#name();
    if (type === 'string') return this.#string();
    if (type === 'integer') return { type: 'constant', value: readInteger(this.next().value) };
    if (type === 'float') return { type: 'constant', value: readFloat(this.next().value) };
    if (type === 'operator' && value === '(') return this.#parenthesis();
    if (type === 'operator' && value === '[') return this.#list();
    if (type === 'operator' && value === '{') return this.#dict();
    return this.fail(`expected a value, found ${this.found()}`);
  }

  #name(): Expression {
    const { value } = this.next();
    const constant = constants.get(value);
    return constant === undefined ? { type: 'name', name: value } : { type: 'constant', value: constant };
  }

  #string(): Expression {
    let value = '';
    while (this.is('string')) {
      const token = this.next();
      value += unquote(token.value, token.line);
    }
    return { type: 'constant', value };
  }

  #parenthesis(): Expression {
    this.expect('operator', '(');
    if (this.accept('operator', ')')) return { type: 'tuple', items: [] };
    const value = this.tuple();
    this.expect('operator', ')');
    return value;
  }

  #list(): Expression {
    this.expect('operator', '[');
    const items: Expression[] = [];
    while (!this.is('operator', ']')) {
      items.push(this.expression());
      if (!this.accept('operator', ',')) break;
    }
    this.expect('operator', ']');
    return { type: 'list', items };
  }

  #dict(): Expression {
    this.expect('operator', '{');
    const entries: [Expression, Expression][] = [];
    while (!this.is('operator', '}')) {
      const key = this.expression();
      this.expect('operator', ':');
      entries.push([key, this.expression()]);
      if (!this.accept('operator', ',')) break;
    }
    this.expect('operator', '}');
    return { type: 'dict', entries };
  }

  #postfix(start: Expression): Expression {
    let value = start;
    for (;;) {
      const { line } = this.current;
      if (this.accept('operator', '.')) value = this.#member(value, line);
      else if (this.accept('operator', '[')) value = this.#subscript(value, line);
      else if (this.is('operator', '(')) value = { type: 'call', target: value, args: this.arguments(), line };
      else return value;
    }
  }

  #member(target: Expression, line: number): Expression {
    if (this.is('integer')) return { type: 'item', target, key: { type: 'constant', value: readInteger(this.next().value) }, line };
    return { type: 'attribute', target, name: this.expect('name').value, line };
  }

  #subscript(target: Expression, line: number): Expression {
    const parts: Expression[] = [];
    let result: Expression | undefined;
    do {
      if (this.is('operator', ']')) break;
      const start = this.is('operator', ':') ? undefined : this.expression();
      if (!this.is('operator', ':')) parts.push(start as Expression);
      else result = { type: 'slice', target, bounds: this.#bounds(start), line };
    } while (this.accept('operator', ','));
    this.expect('operator', ']');
    if (result !== undefined && parts.length === 0) return result;
    if (result !== undefined || parts.length === 0) this.fail('a subscript is either one slice or values');
    return { type: 'item', target, key: parts.length === 1 ? (parts[0] as Expression) : { type: 'tuple', items: parts }, line };
  }

  #bounds(start: Expression | undefined): (Expression | undefined)[] {
    const bounds = [start];
    while (bounds.length < 3 && this.accept('operator', ':')) {
      const open = this.is('operator', ':') || this.is('operator', ']') || this.is('operator', ',');
      bounds.push(open ? undefined : this.expression());
    }
    return bounds;
  }

  #filters(start: Expression): Expression {
    let value = start;
    for (;;) {
      if (this.accept('operator', '|')) value = { type: 'filter', target: value, call: this.namedCall() };
      else if (this.accept('name', 'is')) value = this.#test(value);
      else if (this.is('operator', '(')) value = { type: 'call', target: value, args: this.arguments(), line: this.current.line };
      else return value;
    }
  }

  /** A filter's name and its arguments. */
  namedCall(): NamedCall {
    const { line } = this.current;
    const name = this.#dotted();
    return { name, args: this.is('operator', '(') ? this.arguments() : noArguments, line };
  }

  #dotted(): string {
    let name = this.expect('name').value;
    while (this.accept('operator', '.')) name += `.${this.expect('name').value}`;
    return name;
  }

  #test(target: Expression): Expression {
    const negated = this.accept('name', 'not');
    const { line } = this.current;
    const name = this.#dotted();
    return { type: 'test', target, negated, call: { name, args: this.#testArguments(), line } };
  }

  #testArguments(): Arguments {
    if (this.is('operator', '(')) return this.arguments();
    const { type, value } = this.current;
    const starts = type === 'operator' ? value === '[' || value === '{' : startsValue.has(type) && !(type === 'name' && afterTest.has(value));
    if (!starts) return noArguments;
    return { ...noArguments, positional: [this.#postfix(this.#primary())] };
  }

  /** The arguments of a call, parentheses included. */
  arguments(): Arguments {
    return this.nested(() => this.#arguments());
  }

  #arguments(): Arguments {
    this.expect('operator', '(');
    const positional: Expression[] = [];
    const keyword: [string, Expression][] = [];
    let spread: Expression | undefined;
    let keywordSpread: Expression | undefined;
    while (!this.is('operator', ')')) {
      if (this.accept('operator', '**')) keywordSpread = this.expression();
      else if (this.accept('operator', '*')) spread = this.expression();
      else if (this.current.type === 'name' && this.following.type === 'operator' && this.following.value === '=') {
        const { value } = this.next();
        this.next();
        keyword.push([value, this.expression()]);
      } else {
        if (keyword.length > 0 || spread !== undefined || keywordSpread !== undefined)
          this.fail('a positional argument follows a named or spread one');
        positional.push(this.expression());
      }
      if (!this.accept('operator', ',')) break;
    }
    this.expect('operator', ')');
    return { positional, keyword, spread, keywordSpread };
  }
}

/** A call without arguments. */
const noArguments: Arguments = { positional: [], keyword: [], spread: undefined, keywordSpread: undefined };

function readInteger(text: string): number | bigint {
  const value = BigInt(text.replaceAll('_', '').replace(/^0+(?=\d)/, ''));
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
}

function readFloat(text: string): unknown {
  const value = Number(text.replaceAll('_', ''));
  return Number.isInteger(value) ? float(value) : value;
}
