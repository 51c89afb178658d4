//! Many clients in few threads: WebSockets that customers pay through and follow their
//! accounts with. One thread sends at the times that were fixed ([`super::sending`]), one
//! receives ([`super::hearing`]).
//!
//! How late the sender was is part of every latency and reported with every step.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::runtime::Handle;

use crate::clock::Clock;
use crate::commands::{RUNS_MAX, RunNumber};
use crate::error::Error;
use crate::priority::be_nice;
use crate::workload::Random;

use super::customers::Customer;
use super::hearing::{Dialogue, Shared, Socket, enlist, follow};
use super::sending::{Sender, Sending};
use super::wall::Wall;

/// Sockets that are opened at the same time.
const AT_ONCE: usize = 16;

/// The clients.
pub struct Fleet {
    shared: Arc<Shared>,
    sockets: Vec<Arc<Socket>>,
    receiver: Handle,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
    random: Random,
    last_run: RunNumber,
}

/// Which sockets to open.
#[derive(Clone, Debug)]
pub struct Muster {
    /// The gateway.
    pub gateway: SocketAddr,
    /// Who pays and is paid.
    pub customers: Vec<Customer>,
    /// Of each customer; the first of them follows the account.
    pub sockets_each: usize,
    /// The account of the bank itself.
    pub company: String,
}

impl Fleet {
    /// Opens all sockets.
    ///
    /// # Errors
    /// When one cannot be opened.
    pub fn open(muster: Muster, clock: Clock) -> Result<Fleet, Error> {
        let Muster {
            gateway,
            customers,
            sockets_each,
            company,
        } = muster;
        let followed = customers.iter().map(|_| Mutex::default()).collect();
        let count = customers.len();
        let shared = Arc::new(Shared {
            clock,
            gateway,
            customers,
            followed,
            walls: Mutex::default(),
            findings: Mutex::default(),
            closed: Mutex::default(),
            events: AtomicU64::new(0),
            company,
        });
        let stop = Arc::new(AtomicBool::new(false));
        let (receiver, thread) = receiver(&stop)?;
        let mut fleet = Fleet {
            shared,
            sockets: Vec::new(),
            receiver,
            stop,
            thread: Some(thread),
            random: Random(1),
            last_run: 0,
        };
        // Customer by customer within each round: neighbours in the list are different people.
        let sockets = (0..sockets_each).flat_map(|round| {
            (0..count).map(move |customer| {
                Arc::new(Socket {
                    customer,
                    follows: round == 0,
                    writer: Mutex::new(None),
                    under_way: AtomicU32::new(0),
                })
            })
        });
        fleet.sockets = sockets.collect();
        fleet.connect(fleet.sockets.clone())?;
        Ok(fleet)
    }

    /// How many sockets commands are sent through.
    #[must_use]
    pub fn sockets(&self) -> usize {
        self.sockets.len()
    }

    /// The customers.
    #[must_use]
    pub fn customers(&self) -> &[Customer] {
        &self.shared.customers
    }

    /// A number no step has had.
    ///
    /// # Panics
    /// After four thousand steps.
    pub fn next_run(&mut self) -> RunNumber {
        assert!(self.last_run < RUNS_MAX, "a benchmark has few steps");
        self.last_run += 1;
        self.last_run
    }

    /// Commands that wait for an answer on a socket that is open.
    #[must_use]
    pub fn under_way(&self) -> u64 {
        let sockets = self.sockets.iter();
        sockets
            .map(|socket| u64::from(socket.under_way.load(Relaxed)))
            .sum()
    }

    /// Changes that were seen so far.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.shared.events.load(Relaxed)
    }

    /// What clients saw that must not be.
    #[must_use]
    pub fn findings(&self) -> Vec<String> {
        lock(&self.shared.findings).clone()
    }

    /// Why sockets were closed since the last call.
    #[must_use]
    pub fn take_closed(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.shared.closed))
    }

    /// How far each customer has followed the account.
    #[must_use]
    pub fn versions(&self) -> Vec<u64> {
        let followed = self.shared.followed.iter();
        followed.map(|it| lock(it).version).collect()
    }

    /// Every step so far.
    #[must_use]
    pub fn walls(&self) -> Vec<Arc<Wall>> {
        lock(&self.shared.walls).iter().flatten().cloned().collect()
    }

    /// Opens sockets again that were closed; a customer goes on where it was cut off.
    ///
    /// # Errors
    /// When one cannot be opened.
    pub fn mend(&self) -> Result<(), Error> {
        let broken = self.sockets.iter().filter(|it| lock(&it.writer).is_none());
        self.connect(broken.cloned().collect())
    }

    /// Opens so many more sockets that follow accounts of others, and pay nothing. The gateway
    /// limits sockets of an address: these come from others.
    ///
    /// # Errors
    /// When one cannot be opened.
    pub fn follow_too(
        &self,
        customers: &[Customer],
        sockets_each: usize,
        sources: &[IpAddr],
    ) -> Result<Followers, Error> {
        let gateway = self.shared.gateway;
        let mut opening = Vec::new();
        for (number, customer) in customers.iter().enumerate() {
            for round in 0..sockets_each {
                let at = number * sockets_each + round;
                let source = at.checked_rem(sources.len()).map(|it| sources[it]);
                opening.push(follow(gateway, source, customer.clone()));
            }
        }
        let opened = self.on_receiver(async move {
            let sockets: Vec<Dialogue> = stream::iter(opening)
                .buffer_unordered(AT_ONCE)
                .try_collect()
                .await?;
            let read = |mut socket: Dialogue| {
                tokio::spawn(async move { while let Some(Ok(_)) = socket.next().await {} })
            };
            Ok(sockets.into_iter().map(read).collect())
        });
        opened.map(Followers)
    }

    /// Runs something on the receiver's thread and waits for it here.
    fn on_receiver<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let (tell, told) = std::sync::mpsc::channel();
        self.receiver.spawn(async move {
            // Whoever asked waits for exactly this.
            let _ = tell.send(work.await);
        });
        told.recv()
            .unwrap_or_else(|_| Err(Error::Wrong("the receiver died".to_owned())))
    }

    fn connect(&self, sockets: Vec<Arc<Socket>>) -> Result<(), Error> {
        if sockets.is_empty() {
            return Ok(());
        }
        let shared = Arc::clone(&self.shared);
        self.on_receiver(async move {
            let opening = sockets
                .into_iter()
                .map(|socket| enlist(Arc::clone(&shared), socket));
            stream::iter(opening)
                .buffer_unordered(AT_ONCE)
                .try_collect()
                .await
        })
    }

    /// Hangs the wall up and sends its commands from a thread of its own.
    ///
    /// # Errors
    /// When there is no thread for it.
    pub fn send(&mut self, wall: Arc<Wall>) -> Result<Sending, Error> {
        {
            let mut walls = lock(&self.shared.walls);
            let place = usize::from(wall.run);
            if walls.len() <= place {
                walls.resize(place + 1, None);
            }
            walls[place] = Some(Arc::clone(&wall));
        }
        let masks = Random(self.random.next_bits());
        let sender = Sender::new(Arc::clone(&self.shared), &self.sockets, masks);
        Sending::begin(sender, wall)
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for socket in &self.sockets {
            *lock(&socket.writer) = None;
        }
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            // Its panic was shown where it happened.
            let _ = thread.join();
        }
    }
}

/// Sockets that follow and do nothing else; they are closed when dropped.
pub struct Followers(Vec<tokio::task::JoinHandle<()>>);

impl Drop for Followers {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A thread with a runtime that reads all sockets.
fn receiver(stop: &Arc<AtomicBool>) -> Result<(Handle, std::thread::JoinHandle<()>), Error> {
    const LOOK: Duration = Duration::from_millis(50);
    let stop = Arc::clone(stop);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::io("start", "a runtime"))?;
    let handle = runtime.handle().clone();
    let thread = std::thread::Builder::new()
        .name("receiver".to_owned())
        .spawn(move || {
            be_nice();
            runtime.block_on(async {
                while !stop.load(Relaxed) {
                    tokio::time::sleep(LOOK).await;
                }
            });
        })
        .map_err(Error::io("start", "a thread"))?;
    Ok((handle, thread))
}
