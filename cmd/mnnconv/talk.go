package main

import (
	"errors"

	"github.com/spf13/cobra"

	"mnnconv"
)

// talkOptions are the flags of commands that ask a model.
type talkOptions struct {
	*app
	modelOptions
	memoryOptions
	sampling samplingFlags
}

func (o *talkOptions) addTalk(cmd *cobra.Command) {
	o.sampling.add(cmd.Flags())
	o.addPlace(cmd)
	o.addState(cmd)
	o.addLinks(cmd)
	o.addMemory(cmd)
	o.addThreads(cmd)
	o.addTimeout(cmd)
	o.addPixels(cmd)
}

// open loads the model and opens its devices; frames bounds videos, see
// models.SessionOptions; slots are the conversations that are held at a time. Close the program, then its source.
func (o *talkOptions) open(src string, frames, slots int) (*mnnconv.Program, error) {
	if err := o.sampling.check(); err != nil {
		return nil, err
	}
	w, err := o.wire(o.app)
	if err != nil {
		return nil, err
	}
	if err := o.bound(&w, frames); err != nil {
		return nil, err
	}
	w.Session.Slots, w.Load.Batched = slots, slots > 1
	s, err := o.load(o.app, src, w)
	if err != nil {
		return nil, err
	}
	if s.Model == nil {
		return nil, errors.Join(usagef("%s is one graph and answers no questions: give a model folder", src), s.Close())
	}
	sampling := o.sampling.over(s.Info.Generate.Sampling)
	if err := sampling.Check(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	o.note(s)
	p, err := mnnconv.Open(s, w)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return p, nil
}
