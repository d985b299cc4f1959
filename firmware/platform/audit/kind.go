package audit

// Kind is what is fixed for a kind of event.
type Kind struct {
	Event    string
	Category Category
	Result   Result
	Meaning  string // in words, for the operator
}

// Kinds lists all kinds of events.
func Kinds() []Kind {
	return []Kind{
		{"auth_failure", AccessControl, Failure, "frames arrive that no accepted pair key opens: " +
			"forged, or of another key"},
		{"certificate_rejected", AccessControl, Failure, "the certificate of an OPC UA peer is not trusted; it is in " +
			"the folder rejected"},
		{"login", AccessControl, Success, "a user logged in"},
		{"login_refused", AccessControl, Failure, "a user was refused: an unknown name, or a wrong password"},
		{"host_refused", RequestError, Failure, "a request to the status port named a host that is not in hosts"},
		{"epoch_regressed", RequestError, Failure, "a run of the transmitter with a lower number than the last is " +
			"refused, until the operator accepts it"},
		{"epoch_replayed", RequestError, Failure, "frames of a run that was received before are played back"},
		{"epoch_accepted", Configuration, Success, "the operator accepted a run of the transmitter"},
		{"pair_key_added", Configuration, Success, "the receiver accepts another pair key, and for a time the old one"},
		{"pair_key_changed", Configuration, Success, "the transmitter uses another pair key"},
		{"pair_key_ended", Configuration, Success, "the receiver accepts the old pair key no longer"},
		{"trust_changed", Configuration, Success, "a folder of certificates has changed"},
		{"update_arrived", Configuration, Success, "an update was stored, and waits to be installed"},
		{"update_installed", Configuration, Success, "an update is tried at the next start, or on trial"},
		{"update_kept", Configuration, Success, "an update became healthy, and runs"},
		{"update_refused", Configuration, Failure, "an update was refused; nothing was changed"},
		{"update_went_back", Configuration, Failure, "an update did not become healthy: the release before it runs"},
		{"reverse_probe", ControlSystem, Success, "a person at a receiving board's console had PID 1 send probes " +
			"towards the transmitter"},
		{"role_started", ControlSystem, Success, "heliotx or heliorx started"},
		{"state_writable", ControlSystem, Success, "the state directory can be written again"},
		{"state_unwritable", ControlSystem, Failure, "the state directory cannot be written: a restart before it can " +
			"lets frames of this run be played back"},
		{"memory_damaged", ControlSystem, Failure, "what the receiver remembers of the transmitter is damaged"},
		{"totals_damaged", ControlSystem, Failure, "the transmitter's counts of earlier runs are damaged"},
		{"history_damaged", ControlSystem, Failure, "a part of a mirror's history is damaged; it is set aside"},
		{"pair_key_damaged", ControlSystem, Failure, "a change of the pair key is damaged, and does not count"},
		{"epoch_lost", ControlSystem, Failure, "the transmitter lost its count of runs: the receiver refuses it " +
			"until its operator accepts it"},
		{"epoch_unkept", ControlSystem, Failure, "the transmitter cannot keep the number of its run"},
		{"epoch_first", ControlSystem, Success, "a receiver without any state, as at its first start, accepts the " +
			"first run of the transmitter"},
		{"epoch_unanchored", ControlSystem, Failure, "the receiver knows no earlier run of this pair key, and " +
			"accepts the first one"},
		{"data_formatted", ControlSystem, Failure, "a board formatted its data partition: what was on it is lost"},
		{"data_in_memory", ControlSystem, Failure, "a board keeps its state in memory: it is lost at a restart"},
		{"disk_low", ControlSystem, Failure, "the disk of the state is nearly full"},
		{"audit_gap", AuditLog, Failure, "events of the transmitter's trail did not arrive, or it gave a " +
			"number again"},
		{"audit_damaged", AuditLog, Failure, "earlier events of this trail are lost"},
		{other, ControlSystem, Failure, "an event of a kind for which the trail has no room"},
	}
}

// classify returns what is fixed for a kind. One that is not listed is a failure of the
// control system, so that nothing bad passes for good.
func classify(kind string) (Category, Result) {
	for _, k := range Kinds() {
		if k.Event == kind {
			return k.Category, k.Result
		}
	}
	return ControlSystem, Failure
}
