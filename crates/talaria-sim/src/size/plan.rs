//! The arithmetic: from a fleet, its hosts and the costs to a plan.

use std::time::Duration;

use super::costs::{Connection, Costs};
use super::units::{Bytes, Cores, Count, Factor, PerDay, PerSecond, Share};

/// Files that are not devices: listeners, sinks, operators, logs. A gateway reserves some hundred (docs/limits.md).
const RESERVED_FILES: u64 = 1000;
/// What handshakes may take of the cores, so that devices that are connected are served (contract §14.25).
const HANDSHAKES: Share = Share::HALF;

/// The devices and what they do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fleet {
    /// How many devices are connected.
    pub devices: Count,
    /// How they are connected.
    pub connection: Connection,
    /// Events that each device sends.
    pub events: PerDay,
    /// The share of these whose QoS is 25 or above, which are acknowledged.
    pub acknowledged: Share,
    /// The size of an event.
    pub event_size: Bytes,
    /// Requests to each device.
    pub requests: PerDay,
    /// How often each device connects again, when nothing has failed.
    pub connects: PerDay,
    /// How often each device is pinged; never if it is zero.
    pub ping_period: Duration,
    /// The busiest minutes of events, requests and connects, against the mean.
    pub peak: Factor,
}

/// What a gateway has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Host {
    /// Cores of a gateway.
    pub cores: Count,
    /// How much of them a plan uses at the peak.
    pub used: Share,
    /// Memory of a gateway, with what the kernel uses for its connections.
    pub memory: Bytes,
    /// What of it is not for devices: the bounds of all queues together.
    pub reserved: Bytes,
    /// How many files the process may open.
    pub open_files: Count,
}

/// Where gateways are, and what may fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sites {
    /// Of how many sites any one may fail. With one site, one gateway may.
    pub sites: Count,
    /// Gateways of each site beyond those that are needed, for upgrades and failures.
    pub spare: u64,
}

/// Where events go.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FarEnds {
    /// How many HTTP receivers get each event.
    pub receivers: u64,
    /// How long one takes to answer.
    pub latency: Duration,
    /// Records that the reader of one partition handles.
    pub partition_rate: PerSecond,
}

/// All that a plan is made of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Inputs {
    /// The devices.
    pub fleet: Fleet,
    /// The gateways.
    pub host: Host,
    /// The sites.
    pub sites: Sites,
    /// The sinks.
    pub far_ends: FarEnds,
    /// What each thing costs.
    pub costs: Costs,
}

/// Why there is no plan.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// No memory is left for devices.
    #[error(
        "a gateway of {memory} has no room for devices: {reserved} are reserved for its queues (--reserved-memory)"
    )]
    Memory {
        /// What a gateway has.
        memory: Bytes,
        /// What of it is reserved.
        reserved: Bytes,
    },
    /// No files are left for devices.
    #[error("with {0} open files a gateway has no room for devices: {RESERVED_FILES} are reserved")]
    OpenFiles(Count),
    /// The plan may use nothing of the cores.
    #[error("a plan that may use 0 % of its cores has none")]
    Unused,
}

/// What decides how many gateways there have to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// Their memory.
    Memory,
    /// The files that they may open.
    OpenFiles,
    /// Their cores.
    Cores,
}

/// How long it takes until all devices of a site that has failed, or of the only site's gateway, are connected elsewhere, if they come at
/// once. No gateway knows the TLS sessions of another one, so they make full handshakes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Takeover {
    /// How many they are.
    pub devices: Count,
    /// Until all are connected.
    pub time: Duration,
}

/// How long it takes until all devices of a site are connected again, if its network was cut and its gateways were not, and they come at
/// once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Return {
    /// How many they are.
    pub devices: Count,
    /// With a full handshake each.
    pub full: Duration,
    /// With a resumed TLS session each.
    pub resumed: Duration,
}

/// What a fleet takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    /// What it was made of.
    pub inputs: Inputs,
    /// Events of all kinds at the peak.
    pub events: PerSecond,
    /// Requests at the peak.
    pub requests: PerSecond,
    /// Connects at the peak, while nothing has failed.
    pub connects: PerSecond,
    /// Pings, which have no peak.
    pub pings: PerSecond,
    /// Cores for events, online and offline events left out.
    pub event_cores: Cores,
    /// Cores for requests.
    pub request_cores: Cores,
    /// Cores for pings.
    pub ping_cores: Cores,
    /// Cores for connects and disconnects, with their online and offline events.
    pub connect_cores: Cores,
    /// How many gateways their memory asks for.
    pub by_memory: Count,
    /// How many gateways their open files ask for.
    pub by_open_files: Count,
    /// How many gateways their cores ask for.
    pub by_cores: Count,
    /// Gateways of each site.
    pub gateways_of_a_site: Count,
    /// Gateways of all sites.
    pub gateways: Count,
    /// The devices of a gateway while all sites work.
    pub devices_of_a_gateway: Count,
    /// The devices of a gateway when a site has failed and the spare gateways are away.
    pub most_devices_of_a_gateway: Count,
    /// What a gateway needs then for devices, in its process and in the kernel, beside what is reserved.
    pub device_memory: Bytes,
    /// What the devices of all gateways take.
    pub device_memory_in_all: Bytes,
    /// Connections of a gateway to each receiver, at its most.
    pub connections_to_a_receiver: Count,
    /// Connections of all gateways to all receivers.
    pub connections_to_receivers: u64,
    /// Partitions of the topic.
    pub partitions: Count,
    /// Bytes of events in a second, at the peak.
    pub event_bytes: Bytes,
    /// After the failure of a site, or of the only site's gateway.
    pub takeover: Takeover,
    /// After the network of a site was cut.
    pub after_cut: Return,
}

impl Plan {
    /// Makes a plan.
    ///
    /// # Errors
    /// If a gateway has no room for any device.
    pub fn of(inputs: Inputs) -> Result<Self, PlanError> {
        let Inputs { fleet, host, sites, far_ends, costs } = inputs;
        let devices = fleet.devices;
        let room = host
            .memory
            .less(host.reserved)
            .ok_or(PlanError::Memory { memory: host.memory, reserved: host.reserved })?;
        let files = host.open_files.get().checked_sub(RESERVED_FILES).filter(|files| *files > 0);
        let files = Count::at_least_one(files.ok_or(PlanError::OpenFiles(host.open_files))?);
        if host.used.is_zero() {
            return Err(PlanError::Unused);
        }

        let own_events = fleet.events.of(devices) * fleet.peak;
        let requests = fleet.requests.of(devices) * fleet.peak;
        let connects = fleet.connects.of(devices) * fleet.peak;
        let pings = PerSecond::once_in(fleet.ping_period, devices);
        // Each connect ends some time, and the gateway says so.
        let events = own_events + connects + connects;

        let acknowledged = own_events * fleet.acknowledged * costs.event;
        let others = own_events * fleet.acknowledged.rest() * costs.event_without_ack;
        let event_cores: Cores = [acknowledged, others].into_iter().sum();
        let request_cores = requests * costs.request;
        let ping_cores = pings * costs.ping;
        let connect_cores: Cores =
            [connects * costs.connect, connects * costs.event_without_ack].into_iter().sum();
        let cores: Cores = [event_cores, request_cores, ping_cores, connect_cores].into_iter().sum();

        let each = costs.device + costs.kernel;
        let by_memory = (each * devices).parts_of(room);
        let by_open_files = Count::of_parts(devices.as_f64(), files.as_f64());
        let by_cores = cores.parts_of(Cores::of(host.cores, host.used));
        let needed = by_memory.max(by_open_files).max(by_cores);

        // The others carry all when one site fails.
        let others = Count::at_least_one(sites.sites.get() - 1);
        let needed_of_a_site = Count::of_parts(needed.as_f64(), others.as_f64());
        let gateways_of_a_site = Count::at_least_one(needed_of_a_site.get() + sites.spare);
        let gateways = Count::at_least_one(sites.sites.get() * gateways_of_a_site.get());
        let carrying = Count::at_least_one(others.get() * needed_of_a_site.get());
        let most_devices_of_a_gateway = Count::of_parts(devices.as_f64(), carrying.as_f64());

        let connections_to_a_receiver = events.share_of(carrying).under_way(far_ends.latency);
        Ok(Self {
            inputs,
            events,
            requests,
            connects,
            pings,
            event_cores,
            request_cores,
            ping_cores,
            connect_cores,
            by_memory,
            by_open_files,
            by_cores,
            gateways_of_a_site,
            gateways,
            devices_of_a_gateway: Count::of_parts(devices.as_f64(), gateways.as_f64()),
            most_devices_of_a_gateway,
            device_memory: each * most_devices_of_a_gateway,
            device_memory_in_all: each * devices,
            connections_to_a_receiver,
            connections_to_receivers: connections_to_a_receiver.get() * far_ends.receivers * gateways.get(),
            partitions: events.parts_of(far_ends.partition_rate),
            event_bytes: events * fleet.event_size,
            takeover: takeover(inputs, gateways, gateways_of_a_site),
            after_cut: after_cut(inputs, gateways_of_a_site),
        })
    }

    /// Gateways that carry the fleet when nothing is spare.
    #[must_use]
    pub fn needed(&self) -> Count {
        self.by_memory.max(self.by_open_files).max(self.by_cores)
    }

    /// What decides that, if one gateway is not enough.
    #[must_use]
    pub fn bound(&self) -> Option<Bound> {
        let needed = self.needed();
        if needed.get() == 1 {
            None
        } else if needed == self.by_open_files {
            Some(Bound::OpenFiles)
        } else if needed == self.by_memory {
            Some(Bound::Memory)
        } else {
            Some(Bound::Cores)
        }
    }

    /// Cores for all work.
    #[must_use]
    pub fn cores(&self) -> Cores {
        [self.event_cores, self.request_cores, self.ping_cores, self.connect_cores].into_iter().sum()
    }

    /// What the kernel uses of [`device_memory`](Self::device_memory).
    #[must_use]
    pub fn kernel_memory(&self) -> Bytes {
        self.inputs.costs.kernel * self.most_devices_of_a_gateway
    }
}

fn takeover(inputs: Inputs, gateways: Count, gateways_of_a_site: Count) -> Takeover {
    let failed = if inputs.sites.sites.get() > 1 { gateways_of_a_site.get() } else { 1 };
    let left = gateways.get() - failed;
    // Without another gateway the devices wait for their own, and come back to it.
    let takers = Count::at_least_one(left);
    let devices = inputs.fleet.devices.as_f64() * failed as f64;
    let devices = Count::of_parts(devices, gateways.as_f64());
    Takeover { devices, time: handshake_cores(inputs, takers).time_for(devices, inputs.costs.connect) }
}

fn after_cut(inputs: Inputs, gateways_of_a_site: Count) -> Return {
    let devices = Count::of_parts(inputs.fleet.devices.as_f64(), inputs.sites.sites.as_f64());
    let cores = handshake_cores(inputs, gateways_of_a_site);
    Return {
        devices,
        full: cores.time_for(devices, inputs.costs.connect),
        resumed: cores.time_for(devices, inputs.costs.resumed_connect),
    }
}

fn handshake_cores(inputs: Inputs, gateways: Count) -> Cores {
    Cores::of(inputs.host.cores, HANDSHAKES) * gateways
}
