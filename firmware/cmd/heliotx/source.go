package main

import (
	"log/slog"

	"heliograph/firmware/config"
	"heliograph/firmware/opcua/pki"
	"heliograph/firmware/platform/task"
	"heliograph/firmware/tx/node"
	"heliograph/firmware/tx/source"
	"heliograph/firmware/tx/source/mqtt"
	"heliograph/firmware/tx/source/opcua"
	"heliograph/firmware/tx/source/syslog"
)

func newMQTT(c config.MQTTSource, topics string, p source.Holder, log *slog.Logger) (task.Task, error) {
	return mqtt.New(c, topics, p, log)
}

func newSyslog(c config.SyslogSource, p source.Port, log *slog.Logger) (task.Task, error) {
	return syslog.New(c, p, log)
}

func newOPCUA(
	c config.OPCUASource, folder string, s *pki.Store, p source.Holder, log *slog.Logger,
) (node.OPCUASource, error) {
	return opcua.New(c, folder, s, p, log)
}
