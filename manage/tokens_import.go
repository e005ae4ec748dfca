package manage

import (
	"context"
	"errors"
	"fmt"
	"io"

	"gatehouse/events"
	"gatehouse/id"
	"gatehouse/store"
	"gatehouse/tokens"
)

// importBatch is how many rows of a file one transaction takes.
const importBatch = 200

// ImportTokens takes a file into stock, row by row: a bad row fails alone, with its
// line. With apply false nothing is written and the report says what would be. told,
// if not nil, hears how many rows were read. The error says that the file cannot be
// read to its end or the database is away; rows before it are in the report and,
// with apply, in stock: importing again takes the rest.
func (m *Manage) ImportTokens(ctx context.Context, from tokens.Reader, apply bool, actor string, told func(rows int)) (tokens.Report, error) {
	var r tokens.Report
	seen := map[string]int{} // maker and serial → line
	for over := false; !over; {
		batch, err := nextRows(from, &r, seen)
		if over = errors.Is(err, io.EOF); err != nil && !over {
			return r, err
		}
		if r, err = m.importSome(ctx, r, batch, apply); err != nil {
			return r, err
		}
		if told != nil {
			told(r.Read)
		}
	}
	if added := r.New + r.Renewed; !apply || added == 0 {
		return r, nil
	}
	return r, m.Store.Do(ctx, func(tx *store.Tx) error {
		return m.append(tx, events.Event{Kind: events.TokensImported, Actor: actor, Data: map[string]string{"count": fmt.Sprint(r.New + r.Renewed)}})
	})
}

// nextRows reads some rows; what is wrong with the file itself is counted at once.
func nextRows(from tokens.Reader, r *tokens.Report, seen map[string]int) (batch []tokens.Row, err error) {
	for len(batch) < importBatch {
		row, err := from.Next()
		if err != nil {
			return batch, err
		}
		r.Read++
		if row.Err != nil {
			r.Refuse(row.Line, row.Err.Error())
			continue
		}
		name := row.Token.Manufacturer + "\x00" + row.Token.Serial
		if line, twice := seen[name]; twice {
			r.Refuse(row.Line, fmt.Sprintf("the same serial number as in line %d", line))
			continue
		}
		seen[name] = row.Line
		batch = append(batch, row)
	}
	return batch, nil
}

func (m *Manage) importSome(ctx context.Context, before tokens.Report, batch []tokens.Row, apply bool) (r tokens.Report, err error) {
	run := m.Store.BackgroundRead
	if apply {
		run = m.Store.Background
	}
	err = run(ctx, func(tx *store.Tx) error {
		r = before
		r.Refusals = before.Refusals[:len(before.Refusals):len(before.Refusals)]
		for _, row := range batch {
			if err := m.importOne(tx, &r, row, apply); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return before, err
	}
	return r, nil
}

func (m *Manage) importOne(tx *store.Tx, r *tokens.Report, row tokens.Row, apply bool) error {
	has, found, err := tokens.ByMaker(tx, m.Keys, row.Token.Manufacturer, row.Token.Serial)
	if err != nil {
		return err
	}
	t, what := row.Token, tokens.Imported
	switch {
	case found && has.Secret == t.Secret:
		r.Known++
		return nil
	case found && has.State != tokens.Returned:
		r.Refuse(row.Line, fmt.Sprintf("this serial number is known with another secret, and its token is %s; only one that was returned can come again with another", has.State))
		return nil
	case found:
		t.ID, t.Version, what = has.ID, has.Version, tokens.Renewed
		r.Renewed++
	default:
		t.ID, t.MadeAt = id.New[id.Token](m.Now(), m.Rand), m.Now()
		r.New++
	}
	if !apply {
		return nil
	}
	if found {
		err = tokens.Renew(tx, m.Keys, t)
	} else if ok, bad := tokens.Insert(tx, m.Keys, t); bad != nil || !ok {
		err = orElse(bad, tokens.ErrChanged)
	}
	if err != nil {
		return err
	}
	return tokens.Note(tx, t.ID, m.line(), tokens.Step{What: what, Actor: events.Operator})
}
